"""Topics of a text: what hashing, weighing and projecting it gives in the fitted steps, without their sparse matrices."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import HashingVectorizer, TfidfTransformer
from sklearn.utils import murmurhash3_32

from automl.compiled.unknown import Unknown, name_of

Floats = npt.NDArray[np.float64]
_LEAST = -(2**31)


@dataclass(frozen=True, slots=True, kw_only=True)
class TextTopics:
    """One text column's topics. Missing text is empty text.

    ``rarity`` (words,) weighs each hashed word, ``topics`` (words, width) are what each adds to the topics.
    """

    name: str
    words: Callable[[str], Sequence[str]]
    rarity: Floats
    topics: Floats

    @property
    def width(self) -> int:
        return int(self.topics.shape[1])

    def __call__(self, texts: Sequence[str]) -> Floats:
        out = np.zeros((len(texts), self.width))
        for line, text in enumerate(texts):
            self._project(text, out[line])
        return out

    def _project(self, text: str, out: Floats) -> None:
        """Adds up in the order in which a sparse product does, so that the sums are the same to the last bit."""
        size = len(self.rarity)
        counts = Counter(_place(word, size) for word in self.words(text))
        if not counts:
            return
        places = np.array(sorted(counts))
        weights = np.log(np.array([counts[place] for place in places.tolist()], dtype=np.float64))
        weights += 1.0
        weights *= self.rarity[places]
        weights /= np.sqrt(np.add.accumulate(weights * weights)[-1])
        np.add.reduce(self.topics[places] * weights[:, None], axis=0, out=out)


def _place(word: str, size: int) -> int:
    """As scikit-learn's FeatureHasher does, the least of all hashes too, which has no absolute value of 32 bits."""
    hashed = int(murmurhash3_32(word, seed=0))
    return (2**31 - 1 - (size - 1)) % size if hashed == _LEAST else abs(hashed) % size


def text_topics(step: Any, name: str) -> TextTopics:
    """Raises Unknown for steps that are none of ours."""
    parts = tuple(part for _, part in getattr(step, "steps", ()))
    if tuple(type(part) for part in parts) != (HashingVectorizer, TfidfTransformer, TruncatedSVD):
        raise Unknown(f"the text {name!r} is encoded by {name_of(step)}")
    hashing, weighing, projecting = parts
    plainly = hashing.norm is None and not hashing.alternate_sign and not hashing.binary
    if not (plainly and weighing.sublinear_tf and weighing.use_idf and weighing.norm == "l2"):
        raise Unknown(f"the text {name!r} is weighed otherwise than as usual")
    return TextTopics(
        name=name,
        words=hashing.build_analyzer(),
        rarity=np.asarray(weighing.idf_, dtype=np.float64),
        topics=np.ascontiguousarray(projecting.components_.T, dtype=np.float64),
    )
