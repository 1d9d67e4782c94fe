"""From the rows of many calls to their answers, in one pass through the model."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import pyarrow as pa

from automl.columns import scalar_text
from automl.errors import SchemaError
from automl.schema import Checked, check, table_from_rows
from service.admission import LONGEST_ID
from service.deployment import Deployment
from service.problems import Problem
from service.row_ids import ROW_IDS
from service.scores import Scores

Row = Mapping[str, Any]
Log = Callable[[Deployment, pa.Table, Sequence[str], Scores], None]


class ModelFailed(Exception):
    """The model raised on rows that fit the schema."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """Rows that were answered and logged, and the seconds the model took for them. ``typed`` makes their table:
    nobody pays for it who doesn't look."""

    deployment: Deployment
    typed: Callable[[], pa.Table]
    ids: Sequence[str]
    scores: Scores
    seconds: float

    @property
    def table(self) -> pa.Table:
        return self.typed()


class Beside(Protocol):
    """What goes on beside the answers. It neither waits nor raises."""

    def wants(self, deployment: Deployment) -> bool:
        """Whether it has a use for what this deployment answers."""

    def answered(self, rows: Answered) -> None: ...

    def outcome(self, deployment: Deployment, calls: int, failed: int) -> None:
        """Of so many calls so many failed because of the model, not of their rows or of a full disk."""


class Alone:
    """Nothing goes on beside the answers."""

    def wants(self, deployment: Deployment) -> bool:
        return False

    def answered(self, rows: Answered) -> None: ...

    def outcome(self, deployment: Deployment, calls: int, failed: int) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What one call is told: one id and one value a row, the probabilities of each class, and where the policy asks for it
    ``more`` of each row."""

    model_version: int
    ids: Sequence[str]
    values: Sequence[Any]
    probabilities: Sequence[Sequence[float]] | None
    classes: Sequence[str]
    more: Sequence[Mapping[str, Any]] | None = None


class Predictor:
    """The work of a project's batcher: answers calls with the champion of the moment and logs before it answers."""

    def __init__(
        self, champion: Callable[[], Deployment | None], log: Log, beside: Beside | None = None
    ) -> None:
        self._champion = champion
        self._log = log
        self._beside = beside or Alone()

    def __call__(self, calls: Sequence[Sequence[Row]]) -> Sequence[Answer | Exception]:
        """One answer, or the problem with its rows, for each call; all by one model version."""
        deployment = self._champion()
        if deployment is None:
            return [Problem(503, "no_champion", "The model was withdrawn.", remedy="Try again.")] * len(calls)
        answers = self._answers(deployment, calls)
        failed = sum(isinstance(answer, ModelFailed) for answer in answers)
        self._beside.outcome(deployment, len(calls), failed)
        return answers

    def _answers(
        self, deployment: Deployment, calls: Sequence[Sequence[Row]]
    ) -> Sequence[Answer | Exception]:
        if len(calls) == 1:
            return [self._alone(deployment, calls[0])]
        missing = [_missing_column(deployment, rows) for rows in calls]
        good = [rows for rows, problem in zip(calls, missing, strict=True) if problem is None]
        together = self._together(deployment, good)
        answers = iter(together if together is not None else [self._alone(deployment, rows) for rows in good])
        return [problem if problem is not None else next(answers) for problem in missing]

    def _together(self, deployment: Deployment, calls: Sequence[Sequence[Row]]) -> list[Answer] | None:
        """All calls in one matrix, or None when a row among them is at fault."""
        rows = [row for call in calls for row in call]
        if not rows:
            return []
        try:
            checked = _checked(deployment, rows)
        except SchemaError:
            return None
        if checked.faults:
            return None
        try:
            answer = self._answer(deployment, checked, rows)
        except Exception:  # whose row it is shows when each call is answered alone
            return None
        answers, start = [], 0
        for call in calls:
            answers.append(_part(answer, start, start + len(call)))
            start += len(call)
        return answers

    def _alone(self, deployment: Deployment, rows: Sequence[Row]) -> Answer | Exception:
        try:
            problem = _missing_column(deployment, rows)
            if problem is not None:
                return problem
            checked = _checked(deployment, rows)
            if checked.faults:
                return faulty(checked)
            return self._answer(deployment, checked, rows)
        except SchemaError as error:
            return Problem(
                422, error.code, str(error), field=_field(error.column), remedy=error.remedy or None
            )
        except Exception as error:
            return error

    def _answer(self, deployment: Deployment, checked: Checked, rows: Sequence[Row]) -> Answer:
        named = deployment.task.id_column
        ids = name_rows([_own_id(row, named) for row in rows])
        started = time.perf_counter()
        try:
            scores = deployment.predict(checked.table)
        except Exception as error:
            raise ModelFailed(f"{type(error).__name__}: {error}") from error
        seconds = time.perf_counter() - started
        self._log(deployment, checked.table, ids, scores)
        if self._beside.wants(deployment):
            table = checked.table
            self._beside.answered(
                Answered(deployment=deployment, typed=lambda: table, ids=ids, scores=scores, seconds=seconds)
            )
        shares = None if scores.probabilities is None else scores.probabilities.tolist()
        certainty = deployment.certainty
        return Answer(
            model_version=deployment.version,
            ids=ids,
            values=scores.values,
            probabilities=shares,
            classes=[deployment.schema.target.text(label) for label in deployment.classes],
            more=None if certainty is None else certainty.told(scores.values, shares, checked.table),
        )


def _checked(deployment: Deployment, rows: Sequence[Row]) -> Checked:
    """Rows of a prediction call may repeat an id or have none: it names the answer, not a new row."""
    named = deployment.task.id_column
    if named is not None and named not in rows[0]:
        rows = [{**rows[0], named: None}, *rows[1:]]
    return check(table_from_rows(rows), deployment.schema, deployment.unkeyed_task)


def _part(answer: Answer, start: int, stop: int) -> Answer:
    return Answer(
        model_version=answer.model_version,
        ids=answer.ids[start:stop],
        values=answer.values[start:stop],
        probabilities=None if answer.probabilities is None else answer.probabilities[start:stop],
        classes=answer.classes,
        more=None if answer.more is None else answer.more[start:stop],
    )


def name_rows(own: Sequence[str | None]) -> list[str]:
    """The callers' own ids, and new ones for the rows that have none."""
    missing = sum(not name for name in own)
    if not missing:
        return list(own)  # type: ignore[arg-type]
    made = iter(ROW_IDS.now(missing))
    return [name or next(made) for name in own]


def _own_id(row: Row, named: str | None) -> str | None:
    value = row.get(named) if named is not None else None
    if value is None:
        return None
    text = scalar_text(value)
    if len(text) > LONGEST_ID or "\0" in text:
        raise Problem(
            422,
            "invalid_id",
            f"A row id has at most {LONGEST_ID} characters and no NUL; this one has {len(text)}.",
            field=f"rows[].{named}",
            remedy="Send a shorter id, or null to be given one.",
        )
    return text or None


def _missing_column(deployment: Deployment, rows: Sequence[Row]) -> Problem | None:
    present: set[str] = set().union(*rows)
    for column in deployment.schema.columns:
        if column.name in present or column.optional or column.name == deployment.task.id_column:
            continue
        return Problem(
            422,
            "missing_column",
            f"No row has the column {column.name!r}.",
            field=f"rows[0].{column.name}",
            remedy="Send it with each row, as null where the value is unknown.",
        )
    return None


def faulty(checked: Checked, before: int = 0) -> Problem:
    """The problem with a table's faults; ``before`` rows of the call stood in front of it."""
    errors = [
        {"field": f"rows[{before + fault.row}].{fault.column}", "code": fault.code, "detail": fault.message}
        for fault in checked.faults[:100]
    ]
    first = checked.faults[0]
    return Problem(
        422,
        first.code,
        f"Row {before + first.row}: {first.message}",
        field=errors[0]["field"],
        remedy="Mend the rows named in 'errors' and send the call again; nothing was predicted.",
        errors=errors,
    )


def _field(column: str | None) -> str:
    return "rows" if column is None else f"rows[].{column}"
