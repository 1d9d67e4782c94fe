"""Each thing a maturity model asks for, held against the evidence."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from service.maturity.evidence import Evidence


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """``met`` is None where nothing here can tell; ``remedy`` says what to do where it is not met."""

    met: bool | None
    evidence: str
    remedy: str = ""


Check: TypeAlias = Callable[[Evidence], Found]


def _of(met: bool, evidence: str, remedy: str) -> Found:
    return Found(met=met, evidence=evidence, remedy="" if met else remedy)


def data_versions(seen: Evidence) -> Found:
    told = f"{seen.dataset_versions} dataset versions, each hashed"
    return _of(seen.dataset_versions > 0, told, "Upload rows: incumbent upload PROJECT FILE.")


def served(seen: Evidence) -> Found:
    told = f"{seen.served} models were loaded to serve, {seen.predictions:,} answers are logged"
    return _of(
        seen.served > 0 and seen.predictions > 0, told, "Have a champion and ask it: incumbent predict."
    )


def model_registry(seen: Evidence) -> Found:
    told = f"{seen.models} signed versions, {seen.golden} with golden rows that each load must answer again"
    return _of(seen.models > 0, told, "Let a run make a first model: incumbent retrain PROJECT.")


def experiments(seen: Evidence) -> Found:
    told = f"{seen.trials:,} trials of the newest 20 of {seen.runs} completed runs are kept with score and settings"
    return _of(seen.trials > 0, told, "Let a run search: incumbent retrain PROJECT.")


def pipeline(seen: Evidence) -> Found:
    told = f"{seen.runs} runs went from snapshot to verdict without a hand in between, {seen.failed} failed"
    return _of(seen.runs > 0, told, "Let a run come to its end: incumbent retrain PROJECT --watch.")


def started_by_itself(seen: Evidence) -> Found:
    kinds = ", ".join(f"{kind} {count}" for kind, count in sorted(seen.started.items())) or "none"
    told = f"completed runs by what started them: {kinds}"
    remedy = "Set a schedule or a trigger (policy.triggers) and let it start a run; a setting alone is no evidence."
    return _of(seen.by_itself > 0, told, remedy)


def new_data(seen: Evidence) -> Found:
    told = f"runs were trained on {seen.trained_on} different dataset versions"
    return _of(seen.trained_on >= 2, told, "Send newer rows with labels, and let a run train on them.")


def data_validation(seen: Evidence) -> Found:
    told = (
        f"{seen.batches} uploads were held to schema version {seen.schema_version}, "
        f"{seen.quarantined:,} rows were quarantined"
    )
    return _of(
        seen.batches >= 2 and seen.schema_version > 0,
        told,
        "Send a second upload: it is held to the first's schema.",
    )


def model_validation(seen: Evidence) -> Found:
    told = f"{seen.judged} verdicts with gates, {seen.kept_out} of them kept a challenger out"
    return _of(seen.judged > 0, told, "Let a run judge a challenger: incumbent retrain PROJECT.")


def metadata(seen: Evidence) -> Found:
    told = f"{seen.with_environment} of {seen.models} versions record data, seed, construction and libraries"
    return _of(
        seen.with_environment > 0, told, "Make a new version: older ones do not record their environment."
    )


def automatic_release(seen: Evidence) -> Found:
    told = f"{seen.promoted} promotions on the judge's word, {seen.by_people} by hand, {seen.load_failures} failed loads"
    return _of(
        seen.promoted > 0, told, "Leave promote_mode at managed, or approve what waits: incumbent approvals."
    )


def monitoring(seen: Evidence) -> Found:
    told = f"{seen.drift_reports} drift reports, {seen.live_windows} windows of live quality, {seen.estimates} estimates"
    remedy = "Send live rows and the truth about them, so that drift and live quality are measured."
    return _of(seen.drift_reports > 0 and seen.live_windows + seen.estimates > 0, told, remedy)


def feedback(seen: Evidence) -> Found:
    told = f"{seen.feedback:,} answers got their truth"
    return _of(seen.feedback > 0, told, "Tell the truth about answers: incumbent feedback PROJECT.")


def safe_release(seen: Evidence) -> Found:
    told = f"{seen.probations} probations beside the old champion, {seen.rollbacks} roll-backs"
    remedy = "Leave probation and shadow on, and let a champion be followed by another."
    return _of(seen.probations > 0, told, remedy)


def alerts(seen: Evidence) -> Found:
    return _of(seen.channels > 0, f"{seen.channels} enabled alert channels", "incumbent alerts add …")


def governed(seen: Evidence) -> Found:
    told = f"{seen.keys} keys in force, {seen.approvals} approvals asked for"
    return _of(seen.keys > 0, told, "Make keys with scopes: incumbent key create.")


def unseen(_: Evidence) -> Found:
    return Found(met=None, evidence="nothing in this installation can tell; a person has to say")


CHECKS: Mapping[str, Check] = {
    one.__name__: one
    for one in (
        data_versions,
        served,
        model_registry,
        experiments,
        pipeline,
        started_by_itself,
        new_data,
        data_validation,
        model_validation,
        metadata,
        automatic_release,
        monitoring,
        feedback,
        safe_release,
        alerts,
        governed,
        unseen,
    )
}
