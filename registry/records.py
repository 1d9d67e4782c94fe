"""What the registry hands out: plain, frozen records. No SQLAlchemy object leaves the registry."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

Json = Mapping[str, Any]


class BatchKind(StrEnum):
    UPLOAD = "upload"
    PREDICTIONS = "predictions"
    FEEDBACK = "feedback"
    SHADOW = "shadow"
    REVOCATION = "revocation"
    PSEUDO_LABELS = "pseudo_labels"


class LabelSource(StrEnum):
    """Where a label came from. Truth (given, feedback, human) outranks a model's word (pseudo)."""

    GIVEN = "given"
    FEEDBACK = "feedback"
    HUMAN = "human"
    PSEUDO = "pseudo"


class RunStatus(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_active(self) -> bool:
        return self in (RunStatus.QUEUED, RunStatus.RUNNING)


class PromotionKind(StrEnum):
    PROMOTION = "promotion"
    ROLLBACK = "rollback"
    MANUAL = "manual"


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """``task``, ``policy`` and ``schema`` are the service's own JSON; the registry keeps them as they are.

    ``revision`` grows with each change of task, policy or schema; ``schema_version`` with each schema;
    ``epoch`` with each change of champion, and promotions compare-and-set on it.
    """

    id: int
    name: str
    task: Json
    policy: Json
    schema: Json | None
    schema_version: int
    revision: int
    epoch: int
    champion: int | None
    previous: int | None
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """One accepted upload, flush of the prediction log or of shadow answers, delivery of feedback, revocation of
    labels, or a teacher's labels."""

    number: int
    project_id: int
    kind: BatchKind
    rows: int
    labelled: int
    unlabelled: int
    quarantined: int
    dataset_version: int
    content_hash: str
    details: Json
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetVersion:
    """A point in both tables. ``content_hash`` chains the hashes of all batches up to it (SHA-256, hex)."""

    project_id: int
    number: int
    rows_version: int
    labels_version: int
    content_hash: str
    rows: int
    labels: int
    batch: int
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetFacts:
    """Counts as of the newest dataset version; what the triggers read."""

    version: int
    rows: int
    truths: int
    predictions: int
    last_row_at: datetime | None
    last_truth_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialRecord:
    number: int
    engine: str
    estimator: str
    score: float | None
    seconds: float
    config: Json
    error: str | None
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One turn from trigger to verdict. ``number`` counts within the project; ``fence`` grows with each claim."""

    id: int
    project_id: int
    number: int
    status: RunStatus
    trigger: Json
    reason: str
    plan: Json
    dataset_version: int
    seed: int
    snapshot: Json | None
    engines: Json | None
    verdict: Json | None
    error: str | None
    challenger: int | None
    owner: str | None
    fence: int
    attempt: int
    cancel_requested: bool
    created_at: datetime
    started_at: datetime | None
    heartbeat_at: datetime | None
    finished_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BlobRef:
    """Bytes in the blob store: SHA-256 digest (hex), size, HMAC-SHA256 signature (hex)."""

    digest: str
    size: int
    signature: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NewModel:
    """A model to be registered: its blob and what is known of it.

    ``details`` is the service's own JSON (metric scores, classes, training cut, requirements, …). ``links`` names
    further details that hold the version of a model registered with it, by its position among those before.
    """

    blob: BlobRef
    engine: str
    estimator: str
    config: Json
    dataset_version: int
    details: Json
    attachments: Mapping[str, BlobRef] = field(default_factory=dict)
    links: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A registered model; never changes. ``attachments`` name further blobs (``golden``, ``reference``, …)."""

    project_id: int
    version: int
    run: int | None
    blob: BlobRef
    engine: str
    estimator: str
    config: Json
    dataset_version: int
    details: Json
    attachments: Mapping[str, BlobRef]
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Promotion:
    """An entry of the promotions ledger. ``epoch`` is the one it began."""

    number: int
    project_id: int
    epoch: int
    kind: PromotionKind
    from_version: int | None
    to_version: int
    reason: str
    run: int | None
    actor: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class NewPromotion:
    """A promotion to be made, valid only while the project is still at ``expected_epoch``."""

    expected_epoch: int
    kind: PromotionKind
    reason: str
    actor: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """A trigger decision. ``outcome`` is ``triggered`` or ``refused``; a refusal keeps its reason too."""

    number: int
    project_id: int
    outcome: str
    trigger: str
    reason: str
    evidence: Json
    run: int | None
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class DeploymentRecord:
    """``status`` is ``serving``, ``failed`` or ``retired``; one entry for each change on each node."""

    number: int
    project_id: int
    version: int
    node: str
    status: str
    reason: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRecord:
    """A CloudEvents 1.0 event in the outbox (``type`` such as ``incumbent.champion.changed``)."""

    number: int
    project_id: int | None
    type: str
    data: Json
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """A key as it may be shown: never its secret. ``prefix`` is the public part that users recognise."""

    id: int
    prefix: str
    label: str
    scopes: frozenset[str]
    created_at: datetime
    revoked_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """The right to do one thing until ``expires_at``. ``fence`` is larger for each new holder."""

    name: str
    owner: str
    fence: int
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftRecord:
    number: int
    project_id: int
    model_version: int | None
    share: float
    drifted: tuple[str, ...]
    report: Json
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityRecord:
    """A look at the champion's live quality. ``kind`` is ``realised`` (truth came) or ``estimated`` (without),
    with its score on its own holdout as ``reference``; or ``loss_change``: the mean loss of its answers went
    from ``reference`` to ``score``."""

    number: int
    project_id: int
    model_version: int
    kind: str
    score: float
    reference: float
    report: Json
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class LossMonitorRecord:
    """How far a champion's losses were followed: over the truths of all batches up to ``upto``."""

    project_id: int
    model_version: int
    upto: int
    state: Json
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayRecord:
    """A policy replay asked for. ``number`` counts within the project; ``fence`` grows with each claim, so it is
    the number of attempts too. ``folder`` names its work folder."""

    id: int
    project_id: int
    number: int
    status: RunStatus
    plan: Json
    source: Json
    folder: str
    progress: Json
    result: Json | None
    error: str | None
    owner: str | None
    fence: int
    cancel_requested: bool
    created_at: datetime
    started_at: datetime | None
    heartbeat_at: datetime | None
    finished_at: datetime | None
