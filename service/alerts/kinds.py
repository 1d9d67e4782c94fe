"""What one may want to hear of: kinds of event, told from what the ledger holds. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from service.alerts.examples import CHANGE, GROUPS, PROBATION

Data = Mapping[str, Any]

TEST = "alerts.test"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """``name`` is what a channel wants; it stands for the events of ``type`` whose data ``fits``. ``usual`` kinds are
    wanted by a channel that names none. ``example`` is the data of such an event."""

    name: str
    means: str
    type: str
    usual: bool
    example: Data
    fits: Callable[[Data], bool] = lambda data: True

    def to_json(self) -> dict[str, Any]:
        return {
            "kind": self.name,
            "means": self.means,
            "type": self.type,
            "usual": self.usual,
            "example": dict(self.example),
        }


def _is(member: str, *values: str) -> Callable[[Data], bool]:
    return lambda data: data.get(member) in values


def _ended(outcome: str, reason: str) -> Data:
    return {"project": "flights", "run": 12, "outcome": outcome, "reason": reason}


def _approval(status: str, reason: str) -> Data:
    named = {"project": "flights", "approval": 2, "run": 12, "version": 5, "status": status}
    return {**named, "by": ["key ab12cd34"], "reason": reason}


def _of_decay(data: Data) -> bool:
    return bool({"decay", "estimated_decay"} & set(data.get("fired", ())))


KINDS: tuple[Kind, ...] = (
    Kind(
        name="model.promoted",
        means="a challenger proved better, or somebody promoted a version: it serves now",
        type="incumbent.champion.changed",
        usual=True,
        example=CHANGE,
        fits=_is("kind", "promotion", "manual"),
    ),
    Kind(
        name="model.rolled_back",
        means="the champion of before serves again",
        type="incumbent.champion.changed",
        usual=True,
        example={
            "project": "flights",
            "from": 5,
            "to": 3,
            "kind": "rollback",
            "reason": "Rolled back to version 3: 4.1% of the answers failed.",
        },
        fits=_is("kind", "rollback"),
    ),
    Kind(
        name="model.load_failed",
        means="a server could not load the champion and goes on with what it has",
        type="incumbent.deployment.failed",
        usual=True,
        example={"project": "flights", "version": 5, "node": "web-1", "reason": "a golden answer differs"},
    ),
    Kind(
        name="model.created",
        means="a run made a model version, whatever the verdict on it",
        type="incumbent.model_version.created",
        usual=False,
        example={"project": "flights", "run": 12, "version": 5, "outcome": "promoted"},
    ),
    Kind(
        name="run.awaiting_approval",
        means="a challenger passed every gate and waits for somebody to promote it",
        type="incumbent.run.ended",
        usual=True,
        example=_ended("awaiting_approval", "Better by 0.0204; the policy asks a person to promote."),
        fits=_is("outcome", "awaiting_approval"),
    ),
    Kind(
        name="approval.given",
        means="one of two has approved a challenger: the other is waited for",
        type="incumbent.approval.given",
        usual=True,
        example=_approval("open", "key ab12cd34 approved it: seen by the risk team. 1 more has to."),
    ),
    Kind(
        name="approval.refused",
        means="somebody refused a challenger that passed every gate",
        type="incumbent.approval.ended",
        usual=True,
        example=_approval("refused", "Refused by key ab12cd34: not before the audit"),
        fits=_is("status", "refused"),
    ),
    Kind(
        name="approval.expired",
        means="nobody decided in time on a challenger that passed every gate",
        type="incumbent.approval.ended",
        usual=True,
        example=_approval("expired", "Expired: nobody decided until 2026-03-08 12:00 UTC."),
        fits=_is("status", "expired"),
    ),
    Kind(
        name="approval.stale",
        means="the champion changed while a challenger waited for approval",
        type="incumbent.approval.ended",
        usual=False,
        example=_approval("stale", "Stale: the champion was changed to version 6 (judge: better)."),
        fits=_is("status", "stale"),
    ),
    Kind(
        name="run.failed",
        means="a run could not be brought to a verdict",
        type="incumbent.run.ended",
        usual=True,
        example=_ended("failed", "no engine found a candidate: flaml: out of memory"),
        fits=_is("outcome", "failed"),
    ),
    Kind(
        name="run.rejected",
        means="a challenger is not better, or failed a gate",
        type="incumbent.run.ended",
        usual=False,
        example=_ended("rejected", "Rejected: at most better by 0.0011."),
        fits=_is("outcome", "rejected"),
    ),
    Kind(
        name="run.inconclusive",
        means="there are too few labels to tell whether a challenger is better",
        type="incumbent.run.ended",
        usual=False,
        example=_ended("inconclusive", "Inconclusive: about 3,700 labels would decide."),
        fits=_is("outcome", "inconclusive"),
    ),
    Kind(
        name="run.cancelled",
        means="somebody cancelled a run",
        type="incumbent.run.ended",
        usual=False,
        example=_ended("cancelled", "cancelled on request"),
        fits=_is("outcome", "cancelled"),
    ),
    Kind(
        name="run.started",
        means="a trigger, or somebody, started a run",
        type="incumbent.run.queued",
        usual=False,
        example={
            "project": "flights",
            "run": 12,
            "trigger": "new_labels",
            "fired": ["new_labels"],
            "reason": "512 new labels reach the 500 asked for",
        },
        fits=lambda data: not _of_decay(data),
    ),
    Kind(
        name="drift.detected",
        means="the rows moved away from those the champion was trained on",
        type="incumbent.drift.detected",
        usual=True,
        example={
            "project": "flights",
            "model_version": 5,
            "share": 0.42,
            "drifted": ["distance", "carrier"],
            "joint": True,
            "joint_auc": 0.71,
            "top_columns": ["carrier", "distance"],
        },
    ),
    Kind(
        name="attribution.moved",
        means="a column adds something else to the champion's answers than it did in training: its values may be broken",
        type="incumbent.attribution.moved",
        usual=True,
        example={
            "project": "flights",
            "model_version": 5,
            "columns": ["distance"],
            "effect": 0.31,
            "rows": 250,
        },
    ),
    Kind(
        name="decay.detected",
        means="live quality is surely worse than promised, and a run was started for it",
        type="incumbent.run.queued",
        usual=True,
        example={
            "project": "flights",
            "run": 13,
            "trigger": "decay",
            "fired": ["decay"],
            "reason": "live quality is 0.66 on 2000 answers, worse by 0.06 than the 0.72 of the promotion",
        },
        fits=_of_decay,
    ),
    Kind(
        name="loss.rose",
        means="the champion's mean loss rose from one answer on",
        type="incumbent.loss.rose",
        usual=True,
        example={
            "project": "flights",
            "model_version": 5,
            "before": 0.44,
            "after": 0.52,
            "rose": True,
            "rows": 4096,
            "answers": 20480,
            "delta": 0.002,
        },
    ),
    Kind(
        name="fairness.exceeded",
        means="the champion's own answers treat two groups of a sensitive column surely further apart than allowed",
        type="incumbent.fairness.exceeded",
        usual=True,
        example=GROUPS,
    ),
    Kind(
        name="probation.began",
        means="a new champion is watched on live rows beside the old one, or a challenger in the shadow",
        type="incumbent.probation.began",
        usual=False,
        example={
            "project": "flights",
            "mode": "previous",
            "champion": 5,
            "other": 3,
            "reason": "version 5 is watched beside version 3",
        },
    ),
    Kind(
        name="probation.failed",
        means="live rows proved the new champion worse, whether it was rolled back for that or only noted",
        type="incumbent.probation.ended",
        usual=True,
        example=PROBATION,
        fits=lambda data: (
            data.get("mode") != "challenger" and data.get("status") in ("rolled_back", "annotated")
        ),
    ),
    Kind(
        name="shadow.awaiting_approval",
        means="a challenger proved better in the shadow and waits for somebody to promote it",
        type="incumbent.probation.ended",
        usual=True,
        example={**PROBATION, "mode": "challenger", "reason": "Awaiting approval: version 3 is better."},
        fits=lambda data: data.get("mode") == "challenger" and data.get("status") == "annotated",
    ),
    Kind(
        name="probation.passed",
        means="a new champion is confirmed",
        type="incumbent.probation.ended",
        usual=False,
        example={**PROBATION, "status": "confirmed", "reason": "Confirmed: version 5 is not worse."},
        fits=_is("status", "confirmed"),
    ),
    Kind(
        name="data.broken",
        means="the rows break the data contract: nothing is learnt until that is put right",
        type="incumbent.contract.broken",
        usual=True,
        example={
            "project": "flights",
            "reason": "the data contract is broken: 61% of batch 40 was refused",
        },
    ),
    Kind(
        name="batch.quarantined",
        means="rows of an upload were refused and put aside, however few",
        type="incumbent.batch.quarantined",
        usual=False,
        example={"project": "flights", "batch": 41, "rows": 990, "quarantined": 10},
    ),
    Kind(
        name="labels.wanted",
        means="something would start a run, but too few labels came since the last one",
        type="incumbent.labels.wanted",
        usual=True,
        example={
            "project": "flights",
            "guard": "min_fresh_labels",
            "reason": "12 labels since the last run, 100 are asked for",
        },
    ),
    Kind(
        name="storage.low",
        means="a server's disk is nearly full, or its prediction log does not get into the tables",
        type="incumbent.storage.low",
        usual=True,
        example={
            "node": "web-1",
            "what": "disk",
            "reason": "412.0 MiB are free in /var/lib/incumbent, less than 1.0 GiB",
        },
    ),
)

BY_NAME: Mapping[str, Kind] = {kind.name: kind for kind in KINDS}
USUAL: tuple[str, ...] = tuple(kind.name for kind in KINDS if kind.usual)


def kind_of(type: str, data: Data) -> Kind | None:
    """The kind that an event is of; None for one that nobody is told of."""
    return next((kind for kind in KINDS if kind.type == type and kind.fits(data)), None)


def wants(wanted: tuple[str, ...], kind: Kind, data: Data) -> bool:
    """Whether a channel that wants these kinds is told. A probation that ends in a roll-back is one piece of news: who
    hears of roll-backs hears of it by that."""
    twice = (
        kind.name == "probation.failed"
        and data.get("status") == "rolled_back"
        and "model.rolled_back" in wanted
    )
    return kind.name in wanted and not twice
