"""An event in a person's words: one line, why, and where to look. Pure; nothing here is escaped for any medium."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

Data = Mapping[str, Any]

MOST_TITLE, MOST_WHY = 150, 1_000
_ELLIPSIS = "…"


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """``link`` is None where nobody said under which address people find the service."""

    title: str
    why: str
    link: str | None


def message(event: Mapping[str, Any], *, public_url: str | None) -> Message:
    """What a person is told of an event of :func:`service.alerts.envelope.envelope`."""
    data: Data = event["data"]
    say, page = _SAID[event["alert"]]
    project = data.get("project")
    title = say(data) if project is None else f"{project}: {say(data)}"
    return Message(
        title=one_line(title, MOST_TITLE),
        why=one_line(str(data.get("reason") or _numbers(event["alert"], data)), MOST_WHY),
        link=None if public_url is None else public_url.rstrip("/") + _path(project, page, data),
    )


def one_line(text: str, most: int) -> str:
    """In one line, without characters that control a terminal, a header or the direction of the text around it."""
    kept = "".join(" " if _controls(letter) else letter for letter in text)
    plain = " ".join(kept.split())
    return plain if len(plain) <= most else plain[: most - 1].rstrip() + _ELLIPSIS


def _controls(letter: str) -> bool:
    return unicodedata.category(letter) in ("Cc", "Cf", "Zl", "Zp", "Cs")


def _path(project: Any, page: str, data: Data) -> str:
    if project is None:
        return "/projects"
    return f"/projects/{quote(str(project), safe='')}" + page.format(
        run=data.get("run"), version=data.get("to"), batch=data.get("batch")
    )


def _names(values: Any) -> str:
    return ", ".join(one_line(str(value), 60) for value in list(values or ())[:5])


def _numbers(kind: str, data: Data) -> str:
    """A reason for events that carry none."""
    if kind == "drift.detected":
        share = f"{100 * float(data['share']):.0f}% of the columns moved"
        named = _names(data.get("top_columns") or data.get("drifted"))
        return f"{share}, most of all {named}." if named else f"{share}."
    if kind == "attribution.moved":
        return f"In the last {data['rows']} rows the answers come otherwise from {_names(data['columns'])}."
    if kind == "loss.rose":
        return f"Its mean loss went from {data['before']:.4g} to {data['after']:.4g} on the last {data['rows']} answers."
    if kind == "model.created":
        return f"Run {data['run']} made it: {str(data['outcome']).replace('_', ' ')}."
    if kind == "batch.quarantined":
        return f"{data['quarantined']} rows were refused, {data['rows']} were stored."
    return ""


_WHAT: Mapping[str, str] = {"disk": "the disk is nearly full", "log": "the prediction log grows"}
_Say = Callable[[Data], str]
_SAID: Mapping[str, tuple[_Say, str]] = {
    "model.promoted": (lambda d: f"version {d['to']} is the champion now", "/models/{version}"),
    "model.rolled_back": (lambda d: f"rolled back to version {d['to']}", "/models/{version}"),
    "model.load_failed": (lambda d: f"version {d['version']} could not be loaded on {d['node']}", "/models"),
    "model.created": (lambda d: f"version {d['version']} was made", "/models"),
    "run.awaiting_approval": (lambda d: f"run {d['run']} found something better: approve it", "/runs/{run}"),
    "approval.given": (lambda d: f"version {d['version']} takes one more approval", "/runs/{run}"),
    "approval.refused": (lambda d: f"version {d['version']} was refused", "/runs/{run}"),
    "approval.expired": (lambda d: f"nobody decided on version {d['version']}", "/runs/{run}"),
    "approval.stale": (lambda d: f"version {d['version']} is no longer asked about", "/runs/{run}"),
    "run.failed": (lambda d: f"run {d['run']} failed", "/runs/{run}"),
    "run.rejected": (lambda d: f"run {d['run']} found nothing better", "/runs/{run}"),
    "run.inconclusive": (lambda d: f"run {d['run']} could not tell", "/runs/{run}"),
    "run.cancelled": (lambda d: f"run {d['run']} was cancelled", "/runs/{run}"),
    "run.started": (lambda d: f"run {d['run']} starts", "/runs/{run}"),
    "drift.detected": (lambda d: "the rows have moved", "/monitoring"),
    "attribution.moved": (
        lambda d: f"version {d['model_version']} comes to its answers by other columns",
        "/monitoring",
    ),
    "decay.detected": (lambda d: f"live quality fell, run {d['run']} starts", "/runs/{run}"),
    "loss.rose": (lambda d: f"version {d['model_version']} errs more than before", "/monitoring"),
    "fairness.exceeded": (
        lambda d: (
            f"version {d['model_version']} treats groups of {one_line(str(d['column']), 60)} too differently"
        ),
        "/monitoring",
    ),
    "probation.began": (
        lambda d: f"version {d['champion']} is watched beside version {d['other']}",
        "/monitoring",
    ),
    "probation.failed": (lambda d: f"version {d['champion']} is worse on live rows", "/monitoring"),
    "probation.passed": (lambda d: f"version {d['champion']} is confirmed", "/monitoring"),
    "shadow.awaiting_approval": (lambda d: f"version {d['other']} is better: approve it", "/monitoring"),
    "data.broken": (lambda d: "the rows break the data contract, nothing is learnt", "/data"),
    "batch.quarantined": (lambda d: f"rows of batch {d['batch']} were refused", "/data/{batch}"),
    "labels.wanted": (lambda d: "labels are wanted", "/labeling"),
    "storage.low": (lambda d: f"{d['node']}: {_WHAT.get(str(d['what']), 'storage is low')}", ""),
    "alerts.test": (lambda d: f"a test of the channel {d['channel']}", ""),
}
