"""A policy in plain words: which of its numbers people set, how they are asked for, and back into a policy's parts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal

from pydantic import TypeAdapter

from service.policy import Policy
from service.problems import Problem

Kind = Literal["number", "share", "text", "choice", "span", "part"]
_MINUTE, _HOUR, _DAY = 60.0, 3600.0, 86_400.0
_SPAN: TypeAdapter[timedelta] = TypeAdapter(timedelta)


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One field. ``path`` is its place in the policy; a ``part`` turns the part of that path on or off; a ``span`` is
    asked for in ``unit`` seconds, a ``share`` in percent. An empty field is null where ``empty`` says what that means."""

    path: str
    label: str
    hint: str
    kind: Kind = "number"
    unit: float = 1.0
    after: str = ""
    choices: tuple[tuple[str, str], ...] = ()
    empty: str | None = None

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.path.split("."))


_ACT = (("annotate", "is only noted"), ("retrain", "starts a run"))
GROUPS: tuple[tuple[str, str, tuple[Setting, ...]], ...] = (
    (
        "When to search",
        "A run starts when any of these fires and nothing below holds it back.",
        (
            Setting(
                path="triggers.schedule",
                label="On a schedule",
                hint="cron, five fields, UTC: '0 3 * * *' is 3 o'clock each night",
                kind="text",
                empty="no schedule",
            ),
            Setting(
                path="triggers.new_labels.count",
                label="After new labels",
                hint="rows with truth since the last run",
                after="labels",
                empty="not for new labels",
            ),
            Setting(
                path="triggers.decay",
                label="Watch live quality",
                hint="measured on answers whose truth has come",
                kind="part",
            ),
            Setting(
                path="triggers.decay.max_drop",
                label="Loss that is allowed",
                hint="against the score it was promoted with, in the metric's unit",
            ),
            Setting(
                path="triggers.decay.action",
                label="A sure loss beyond that",
                hint="",
                kind="choice",
                choices=_ACT,
            ),
            Setting(
                path="triggers.drift",
                label="Watch the columns",
                hint="each window of answered rows against those trained on",
                kind="part",
            ),
            Setting(
                path="triggers.drift.share",
                label="Columns that may move",
                hint="of the features",
                kind="share",
                after="%",
            ),
            Setting(
                path="triggers.drift.action",
                label="More than that",
                hint="drift says that inputs changed, not that the model got worse",
                kind="choice",
                choices=_ACT,
            ),
        ),
    ),
    (
        "What holds it back",
        "So that nothing is searched twice on the same evidence.",
        (
            Setting(
                path="cooldown",
                label="Rest between runs",
                hint="",
                kind="span",
                unit=_MINUTE,
                after="minutes",
            ),
            Setting(
                path="daily_budget_seconds",
                label="Search time in a day",
                hint="",
                unit=_MINUTE,
                after="minutes",
            ),
            Setting(
                path="min_fresh_labels", label="Fresh labels at least", hint="for any run", after="labels"
            ),
            Setting(
                path="min_fresh_share",
                label="and as a share",
                hint="of those the last run had",
                kind="share",
                after="%",
            ),
        ),
    ),
    (
        "How to search",
        "",
        (
            Setting(path="search.budget_seconds", label="Time for one search", hint="", after="seconds"),
            Setting(
                path="lookback_window",
                label="Learn from the last",
                hint="older rows are left out",
                kind="span",
                unit=_DAY,
                after="days",
                empty="all rows",
            ),
        ),
    ),
    (
        "What a challenger has to show",
        "On the newest rows, which neither was trained on.",
        (
            Setting(path="gates.min_effect", label="Gain at least", hint="in the metric's unit"),
            Setting(
                path="gates.alpha",
                label="Chance of a false promotion",
                hint="for each holdout",
                kind="share",
                after="%",
            ),
            Setting(
                path="gates.max_latency_ms",
                label="Answers within",
                hint="one row",
                after="ms",
                empty="no limit",
            ),
            Setting(
                path="gates.slices",
                label="No slice may pay for it",
                hint="parts of the rows are looked at one by one",
                kind="part",
            ),
            Setting(path="gates.slices.margin", label="Loss a slice may have", hint="in the metric's unit"),
            Setting(
                path="gates.trust.robustness",
                label="Look at robustness",
                hint="noise, gaps, unseen words, wrong units, later times",
                kind="part",
            ),
            Setting(
                path="gates.trust.robustness.mode",
                label="What breaks on such rows",
                hint="",
                kind="choice",
                choices=(
                    ("report", "is only noted"),
                    ("hard", "is not promoted"),
                    ("non_inferior", "may not break more than the champion"),
                ),
            ),
            Setting(
                path="gates.trust.robustness.max_loss",
                label="Loss such rows may cost",
                hint="in the metric's unit",
            ),
        ),
    ),
    (
        "What an answer tells",
        "Beside its value and probabilities.",
        (
            Setting(
                path="answers.coverage",
                label="Classes or interval that hold the truth in",
                hint="of all cases; from the rows that judged",
                kind="share",
                after="%",
                empty="not told",
            ),
        ),
    ),
    (
        "What follows",
        "",
        (
            Setting(
                path="promote_mode",
                label="What proves better",
                hint="",
                kind="choice",
                choices=(("managed", "is promoted by itself"), ("manual", "waits for a person")),
            ),
            Setting(
                path="approval.approvers",
                label="Who has to approve",
                hint="two show different keys",
                after="people",
            ),
            Setting(
                path="approval.expires_after",
                label="An approval waits",
                hint="",
                kind="span",
                unit=_DAY,
                after="days",
            ),
            Setting(
                path="probation",
                label="Probation",
                hint="the old champion answers unseen beside the new one",
                kind="part",
            ),
            Setting(path="probation.watch", label="for", hint="", kind="span", unit=_DAY, after="days"),
            Setting(
                path="probation.action",
                label="If it is surely worse",
                hint="",
                kind="choice",
                choices=(("roll_back", "it is rolled back"), ("annotate", "it is only noted")),
            ),
            Setting(
                path="pseudo_labels.mode",
                label="Rows without a label",
                hint="their guessed labels never judge",
                kind="choice",
                choices=(("off", "are not learnt from"), ("judged", "may train, if that proves better")),
            ),
            Setting(
                path="labelling.annotators_per_row", label="People asked about a row", hint="", after="people"
            ),
        ),
    ),
)
SETTINGS = tuple(setting for _, _, settings in GROUPS for setting in settings)


def shown(policy: Mapping[str, Any], setting: Setting) -> str:
    """What stands in the field; of a part that is off, its defaults."""
    value = _at(policy, setting.names)
    if setting.kind == "part":
        return "on" if value is not None else ""
    if value is None and _is_off(policy, setting):
        value = _at(Policy().model_dump(mode="json"), setting.names)
    if value is None:
        return ""
    if setting.kind == "span":
        value = _SPAN.validate_python(value).total_seconds()
    if isinstance(value, int | float) and not isinstance(value, bool):
        return f"{value / setting.unit * (100 if setting.kind == 'share' else 1):.6g}"
    return str(value)


def change(form: Mapping[str, Any], policy: Mapping[str, Any]) -> dict[str, Any]:
    """The parts of a policy that a sent form says, to be merged into ``policy``. Raises a 422 problem that names the
    field."""
    parts: dict[str, Any] = {}
    off = {one.path for one in SETTINGS if one.kind == "part" and not form.get(one.path)}
    for setting in SETTINGS:
        if any(setting.path == path or setting.path.startswith(path + ".") for path in off):
            continue
        if setting.kind == "part":
            if _at(policy, setting.names) is None:
                _put(parts, setting.names, _at(Policy().model_dump(mode="json"), setting.names))
            continue
        if setting.path in form:
            _put(parts, setting.names, _value(setting, str(form[setting.path]).strip()))
    for path in off:
        _put(parts, tuple(path.split(".")), None)
    return parts


def _value(setting: Setting, text: str) -> Any:
    if not text:
        if setting.empty is None:
            raise _wrong(setting, "is empty")
        return None
    if setting.kind in ("text", "choice"):
        return text
    try:
        number = float(text) * setting.unit / (100 if setting.kind == "share" else 1)
    except ValueError:
        raise _wrong(setting, f"is no number: {text[:40]!r}") from None
    if setting.kind == "span":
        try:
            return _SPAN.dump_python(timedelta(seconds=round(number, 3)), mode="json")
        except OverflowError:
            raise _wrong(setting, "is too long") from None
    return int(number) if number.is_integer() else number


def _wrong(setting: Setting, what: str) -> Problem:
    return Problem(
        422, "invalid_policy", f"{setting.label} {what}.", field=setting.path, remedy="Correct the field."
    )


def _is_off(policy: Mapping[str, Any], setting: Setting) -> bool:
    names = setting.names
    return any(_at(policy, names[:length]) is None for length in range(1, len(names)))


def _at(value: Any, names: tuple[str, ...]) -> Any:
    for name in names:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def _put(parts: dict[str, Any], names: tuple[str, ...], value: Any) -> None:
    for name in names[:-1]:
        inner = parts.get(name)
        if not isinstance(inner, dict):
            inner = parts[name] = {}
        parts = inner
    parts[names[-1]] = value
