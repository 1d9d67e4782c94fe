"""The unlabelled rows and what each is worth: ranked by the champion and the newest other models, or by the rows alone."""

from __future__ import annotations

import io
import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from automl.drift_region import moved
from automl.first_queue import first_queue
from automl.labelling import Queue, QueueRule, queue
from automl.schema import frame
from automl.scoring import aligned
from registry.labeling import QueueItem
from registry.records import Project
from registry.store import Registry
from service.deployment import CannotDeploy, Deployment, load
from service.label_policy import Labelling
from service.outliers import Measure

logger = logging.getLogger(__name__)

COMMITTEE = 3
"""Models that are asked, the champion among them."""
MOST_LOOKED_AT = 200_000
REFERENCE_ROWS = 2_000
_PREPARED = ("columns", "encode")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranked:
    """The best rows of a pool of ``pool``, most useful first."""

    items: tuple[QueueItem, ...]
    pool: int


def unlabelled(registry: Registry, project: Project, most: int) -> pa.Table:
    """The newest rows without a truth, at most ``most``, oldest first, of the newest 200,000 rows."""
    looked_at = min(2 * most, MOST_LOOKED_AT)
    while True:
        rows = registry.datasets.recent(project.id, looked_at)
        ids = rows["_row_id"].to_pylist()
        truths = registry.datasets.truths(project.id, ids)
        open_ = np.array([truths.get(row_id) is None for row_id in ids], dtype=bool)
        if open_.sum() >= most or rows.num_rows < looked_at or looked_at >= MOST_LOOKED_AT:
            break
        looked_at = min(4 * looked_at, MOST_LOOKED_AT)
    found = rows.filter(pa.array(open_))
    return found.slice(max(0, found.num_rows - most))


class Committee:
    """The champion and the newest other models of a project, kept loaded. One thread at a time."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._loaded: dict[tuple[int, int], Deployment | None] = {}

    def of(self, project: Project, served: Deployment | None) -> list[Deployment]:
        """The champion first. Empty without a champion, or where it can't be loaded."""
        if project.champion is None:
            return []
        champion = served if served is not None and served.version == project.champion else None
        champion = champion or self._load(project, project.champion)
        if champion is None:
            return []
        others = sorted((model.version for model in self._registry.models.list(project.id)), reverse=True)
        found = [champion]
        for version in others:
            if len(found) == COMMITTEE:
                break
            model = None if version == project.champion else self._load(project, version)
            if model is not None and model.task.kind is champion.task.kind:
                found.append(model)
        return found

    def _load(self, project: Project, version: int) -> Deployment | None:
        key = (project.id, version)
        if key not in self._loaded:
            try:
                model = self._registry.models.get(project.id, version)
                self._loaded[key] = load(self._registry, project, model)
            except CannotDeploy as error:
                logger.info("model %d of %s ranks no rows: %s", version, project.name, error)
                self._loaded[key] = None
            own = sorted(one for one in self._loaded if one[0] == project.id)
            for old in own[: -2 * COMMITTEE]:
                del self._loaded[old]
        return self._loaded.get(key)


def rank(
    registry: Registry,
    project: Project,
    committee: Sequence[Deployment],
    pool: pa.Table,
    policy: Labelling,
    *,
    wanted: int,
    seed: int,
    odd: npt.NDArray[np.bool_] | None,
) -> Ranked:
    """The ``wanted`` rows of the pool most worth a label, a share of them drawn at random; few that are ``odd``."""
    champion = committee[0]
    features = _matrix(champion, pool)
    found = queue(
        np.stack([_answers(model, champion, pool) for model in committee]),
        wanted,
        _rule(policy),
        seed=seed,
        features=features,
        drift=None if features is None else _moved(registry, project, champion, features, seed),
        odd=odd,
    )
    return _ranked(pool, found)


def rank_first(
    pool: pa.Table,
    measure: Measure | None,
    policy: Labelling,
    *,
    wanted: int,
    seed: int,
    odd: npt.NDArray[np.bool_] | None,
) -> Ranked:
    """The ``wanted`` rows to label before there is a model: typical ones, unlike each other, in the coordinates of
    ``measure``. Drawn at random where even that can't be told yet."""
    features = np.zeros((pool.num_rows, 1)) if measure is None else measure.oddness.points(pool)
    rule = QueueRule(random_share=1.0) if measure is None else _rule(policy)
    return _ranked(pool, first_queue(features, wanted, rule, seed=seed, odd=odd))


def _rule(policy: Labelling) -> QueueRule:
    return QueueRule(random_share=policy.random_share, odd_rows=policy.odd_rows)


def _ranked(pool: pa.Table, found: Queue) -> Ranked:
    ids = pool["_row_id"].take(pa.array(found.rows)).to_pylist()
    return Ranked(
        items=tuple(
            QueueItem(row_id=row_id, value=float(value), why=why.value, probability=float(chance))
            for row_id, value, why, chance in zip(
                ids, found.values, found.reasons, found.probabilities, strict=True
            )
        ),
        pool=found.pool,
    )


def _answers(model: Deployment, champion: Deployment, pool: pa.Table) -> npt.NDArray[np.float64]:
    raw = model.raw(pool)
    if not champion.task.is_classification:
        return raw
    return aligned(raw, model.classes, champion.task.classes)


def _matrix(champion: Deployment, rows: pa.Table) -> npt.NDArray[np.float64] | None:
    """The rows as the champion's own preprocessing has them, where it has one of the usual form."""
    steps = [name for name, _ in champion.pipeline.steps]
    if tuple(steps[:2]) != _PREPARED:
        return None
    matrix = np.asarray(champion.pipeline[:2].transform(frame(rows, champion.schema)), dtype=np.float64)
    return matrix if matrix.ndim == 2 and np.isfinite(matrix).all() else None


def _moved(
    registry: Registry,
    project: Project,
    champion: Deployment,
    features: npt.NDArray[np.float64],
    seed: int,
) -> npt.NDArray[np.float64] | None:
    """How much each row lies where the inputs have moved to; None unless the newest report says they have,
    column by column or only together."""
    report = registry.drift.latest(project.id)
    if report is None or report.model_version != champion.version:
        return None
    if not report.report.get("top_columns", report.drifted):
        return None
    kept = registry.models.get(project.id, champion.version).attachments.get("reference")
    if kept is None:
        return None
    reference = pq.read_table(io.BytesIO(registry.blobs.open(kept.digest))).slice(0, REFERENCE_ROWS)
    matrix = _matrix(champion, reference)
    return None if matrix is None else moved(matrix, features, seed=seed)
