"""What the registry holds of a project that a maturity model asks about: counts of what happened, never of what is set."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from registry.records import BatchKind, Project, PromotionKind, RunStatus
from registry.store import Registry
from service.quality_windows import WINDOW

_MOST = 1_000
_NOT_BY_ITSELF = frozenset({"manual", "first_champion", "first_search", "retry"})
"""A person, the first upload, or a run that was tried again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """``started`` are completed runs by the kind of trigger that started them; ``by_itself`` those that neither a person
    nor the first upload started. ``promoted`` are promotions on the judge's word, ``by_people`` those by hand."""

    dataset_versions: int
    batches: int
    quarantined: int
    schema_version: int
    feedback: int
    predictions: int
    models: int
    with_environment: int
    golden: int
    started: Mapping[str, int]
    judged: int
    kept_out: int
    trials: int
    failed: int
    promoted: int
    by_people: int
    rollbacks: int
    served: int
    load_failures: int
    drift_reports: int
    live_windows: int
    estimates: int
    probations: int
    approvals: int
    channels: int
    keys: int
    trained_on: int

    @property
    def by_itself(self) -> int:
        return sum(count for kind, count in self.started.items() if kind not in _NOT_BY_ITSELF)

    @property
    def runs(self) -> int:
        return sum(self.started.values())


def gathered(registry: Registry, project: Project) -> Evidence:
    """The newest thousand of each kind are counted."""
    runs = registry.runs.list(project.id, limit=_MOST)
    done = [run for run in runs if run.status is RunStatus.COMPLETED]
    models = registry.models.list(project.id, limit=_MOST)
    batches = registry.datasets.batches(project.id, limit=_MOST)
    promotions = registry.ledger.promotions(project.id, limit=_MOST)
    deployments = registry.ledger.deployments(project.id, limit=_MOST)
    newest = registry.datasets.latest(project.id)
    outcomes = Counter(str((run.verdict or {}).get("outcome")) for run in done)
    kinds = Counter(one.kind for one in promotions)
    return Evidence(
        dataset_versions=0 if newest is None else newest.number,
        batches=sum(one.kind is BatchKind.UPLOAD for one in batches),
        quarantined=sum(one.quarantined for one in batches),
        schema_version=project.schema_version if project.schema else 0,
        feedback=sum(one.labelled for one in batches if one.kind is BatchKind.FEEDBACK),
        predictions=registry.datasets.facts(project.id).predictions,
        models=len(models),
        with_environment=sum(model.details.get("environment") is not None for model in models),
        golden=sum("golden" in model.attachments for model in models),
        started=Counter(str(run.trigger.get("kind")) for run in done),
        judged=sum(bool((run.verdict or {}).get("gates")) for run in done),
        kept_out=outcomes["rejected"] + outcomes["inconclusive"],
        trials=sum(len(registry.runs.trials(run.id)) for run in done[:20]),
        failed=sum(run.status is RunStatus.FAILED for run in runs),
        promoted=kinds[PromotionKind.PROMOTION],
        by_people=kinds[PromotionKind.MANUAL],
        rollbacks=kinds[PromotionKind.ROLLBACK],
        served=sum(one.status == "serving" for one in deployments),
        load_failures=sum(one.status == "failed" for one in deployments),
        drift_reports=len(registry.drift.list(project.id, limit=_MOST)),
        live_windows=len(registry.quality.list(project.id, WINDOW, limit=_MOST)),
        estimates=len(registry.quality.list(project.id, "estimated", limit=_MOST)),
        probations=len(registry.probations.list(project.id, limit=_MOST)),
        approvals=len(registry.approvals.list(project.id, limit=_MOST)),
        channels=sum(one.enabled for one in registry.alert_channels.list()),
        keys=sum(one.revoked_at is None for one in registry.keys.list()),
        trained_on=len({run.dataset_version for run in done}),
    )
