"""What became of the rows of one upload, counted while they pass."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, ClassVar

import pyarrow as pa

from automl.schema import Checked
from service.problems import MOST_ERRORS, Problem
from service.readers import Chunk

HOPELESS_ROWS = 100_000
"""An upload whose first rows, so many, are all at fault is given up."""

FEW_ROWS = 1_000
"""An upload of so many rows at most is small: its rows are kept at hand until it is stored."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """A row for the quarantine: ``line`` in the upload from 1, its first fault, its text."""

    line: int
    column: str | None
    code: str
    message: str
    row: str


@dataclass(slots=True)
class Tally:
    """Counts; bounded in size whatever is uploaded."""

    DETAILS: ClassVar[tuple[str, ...]] = (
        "unseen_categories",
        "ignored_columns",
        "missing_columns",
        "quarantine_reasons",
    )

    rows: int = 0
    stored: int = 0
    reasons: Counter[tuple[str, str | None]] = field(default_factory=Counter)
    unseen: Counter[str] = field(default_factory=Counter)
    ignored: dict[str, None] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    examples: dict[tuple[str, str | None], Refused] = field(default_factory=dict)
    _few: list[pa.Table] = field(default_factory=list)

    def read(self, chunk: Chunk) -> None:
        self.rows += chunk.table.num_rows + len(chunk.broken)

    def checked(self, checked: Checked) -> None:
        self.unseen.update(checked.unseen)
        self.ignored.update(dict.fromkeys(checked.ignored))
        self.missing = checked.missing

    def admitted(self, rows: pa.Table) -> None:
        self.stored += rows.num_rows
        if self.stored <= FEW_ROWS:
            self._few.append(rows)
        else:
            self._few.clear()

    @property
    def few(self) -> pa.Table | None:
        """The stored rows of a small upload; None of a larger one."""
        return pa.concat_tables(self._few) if self._few else None

    def refused(self, row: Refused) -> None:
        reason = (row.code, row.column)
        self.reasons[reason] += 1
        if reason not in self.examples and len(self.examples) < 1000:
            self.examples[reason] = row

    def codes(self) -> dict[str, int]:
        """How many rows were refused for each reason."""
        codes: Counter[str] = Counter()
        for (code, _), count in self.reasons.items():
            codes[code] += count
        return dict(codes.most_common())

    def details(self) -> dict[str, Any]:
        """What the batch keeps of this, by the names in DETAILS."""
        return {
            "unseen_categories": dict(self.unseen),
            "ignored_columns": list(self.ignored),
            "missing_columns": list(self.missing),
            "quarantine_reasons": self.codes(),
        }

    def refuse_if_hopeless(self) -> None:
        """Raises a problem when very many rows came and none was good; called while rows are read."""
        if not self.stored and self.rows >= HOPELESS_ROWS:
            raise self._all_refused("Every one of the first")

    def refuse_if_nothing_is_left(self) -> None:
        """Raises a problem when there was no row, or when every row is at fault: it names the worst fault."""
        if self.stored:
            return
        if not self.rows:
            raise Problem(
                422,
                "empty",
                "The upload holds no rows.",
                field="file",
                remedy="Send at least one row; in CSV below a header line.",
            )
        raise self._all_refused("Every one of the")

    def _all_refused(self, every: str) -> Problem:
        (code, column), count = self.reasons.most_common(1)[0]
        example = self.examples[code, column]
        where = f" in column {column!r}" if column else ""
        rows = "The only row" if self.rows == 1 else f"{every} {self.rows:,} rows"
        return Problem(
            422,
            "all_rows_refused",
            f"{rows} was refused; most often ({count:,}) for {code}{where}, "
            f"as in row {example.line:,}: {example.message}.",
            field=column or "file",
            remedy=_REMEDIES.get(code, "Correct the rows, or edit the schema (PUT …/schema) if it is wrong."),
            reason=code,
            quarantine_reasons=self.codes(),
            errors=[
                {"field": column or "row", "code": code, "detail": f"row {row.line:,}: {row.message}"}
                for (code, column), row in list(self.examples.items())[:MOST_ERRORS]
            ],
        )


_REMEDIES = {
    "duplicate_id": "These rows are stored already; send their labels to …/feedback.",
    "unknown_label": "Correct the labels, or add the class to the schema (PUT …/schema).",
    "ragged_row": "Check the delimiter and the quotes: each row needs one value a column.",
    "not_json": "Send one JSON object a line.",
    "not_an_object": 'Send one JSON object a line (JSON Lines), or {"rows": [{…}]}.',
    "nested_value": "Send one plain value a column: no lists or objects.",
    "infinite_number": "Send a finite number, or leave the value empty when it is not known.",
    "missing_id": "Give each row its id, or make the project without an id_column.",
}
