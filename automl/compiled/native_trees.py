"""LightGBM's own predictor, called past its Python package: one row in a few microseconds."""

from __future__ import annotations

import ctypes
import threading
import weakref
from typing import Any

import numpy as np
import numpy.typing as npt

from automl.compiled import native_library
from automl.compiled.bit_trees import BitTrees, bit_trees
from automl.compiled.unknown import Unknown

Floats = npt.NDArray[np.float64]

_FLOAT32, _FLOAT64, _ROW_MAJOR = 0, 1, 1
_ALL = -1
_PARAMETERS = b"num_threads=1"
BITS_FROM = 8
"""Rows from which :mod:`automl.compiled.bit_trees` is quicker."""
NORMAL, LEAF = 0, 2


class NativeTrees:
    """The answers, (n, outputs), of a model in LightGBM's text format, in one thread.

    Raises Unknown when the model takes other than so many features. It is pickled as its text, once.
    """

    def __init__(
        self, text: str, *, features: int, outputs: int, kind: int = NORMAL, float32: bool = False
    ) -> None:
        bits = bit_trees(text, outputs=outputs) if kind == NORMAL else None
        self._set_up(text.encode(), features, outputs, kind, float32, bits)
        self._text: bytes | None = text.encode()

    def _set_up(
        self, text: bytes, features: int, outputs: int, kind: int, float32: bool, bits: BitTrees | None
    ) -> None:
        self.outputs = outputs
        self._booster = native_library.Booster(text)
        if self._booster.features != features:
            raise Unknown(f"the trees take {self._booster.features} features, {features} are made")
        self._features = features
        self._kind = kind
        self._dtype: Any = np.float32 if float32 else np.float64
        self._type = _FLOAT32 if float32 else _FLOAT64
        self._held, self._freed = native_library.libraries()
        self._fast = self._held.LGBM_BoosterPredictForMatSingleRowFast
        self._own = threading.local()
        self._bits = bits

    @property
    def text(self) -> str:
        """The model, as long as it was not unpickled."""
        if self._text is None:
            raise TypeError("trees that were unpickled have let go of their text")
        return self._text.decode()

    @property
    def bits(self) -> BitTrees | None:
        """The trees for many rows, where there are such tables of them, of features in float64."""
        return None if self._type == _FLOAT32 else self._bits

    def __getstate__(self) -> tuple[Any, ...]:
        return (
            self.text.encode(),
            self._features,
            self.outputs,
            self._kind,
            self._type == _FLOAT32,
            self._bits,
        )

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self._set_up(*state)
        self._text = None  # a megabyte that only a second pickle would need

    def one(self, features: bytes) -> Any:
        """One row's outputs. The array belongs to this thread and lasts until its next call."""
        try:
            single = self._own.single
        except AttributeError:
            single = self._own.single = _Single(self)
        if self._type == _FLOAT32:
            features = np.frombuffer(features).astype(np.float32).tobytes()
        if self._fast(single.config, features, single.count_at, single.out_at):
            raise RuntimeError(self._held.LGBM_GetLastError().decode())
        return single.out

    def many(self, features: Floats) -> Floats:
        rows, width = features.shape
        features = np.ascontiguousarray(features, dtype=self._dtype)
        answers = self._bits(features) if self._bits is not None and rows >= BITS_FROM else None
        if answers is not None:
            return answers
        out = np.empty((rows, self.outputs))
        if not rows:
            return out
        count = ctypes.c_int64(0)
        failed = self._freed.LGBM_BoosterPredictForMat(
            self._booster.handle, features.ctypes.data, self._type, rows, width, _ROW_MAJOR, self._kind, 0,
            _ALL, _PARAMETERS, ctypes.addressof(count), out.ctypes.data,
        )  # fmt: skip
        if failed or count.value != out.size:
            raise RuntimeError(self._held.LGBM_GetLastError().decode() if failed else "answers are missing")
        return out


class _Single:
    """What one thread needs for single rows: LightGBM's prepared call and where it puts the answer."""

    def __init__(self, trees: NativeTrees) -> None:
        held = trees._held
        config = ctypes.c_void_p()
        failed = held.LGBM_BoosterPredictForMatSingleRowFastInit(
            trees._booster.handle, trees._kind, 0, _ALL, trees._type, trees._features, _PARAMETERS,
            ctypes.addressof(config),
        )  # fmt: skip
        if failed:
            raise RuntimeError(held.LGBM_GetLastError().decode())
        self.config = config
        self._count = ctypes.c_int64(0)
        self.count_at = ctypes.addressof(self._count)
        self.out = (ctypes.c_double * trees.outputs)()
        self.out_at = ctypes.addressof(self.out)
        self._booster = trees._booster
        weakref.finalize(self, held.LGBM_FastConfigFree, config)
