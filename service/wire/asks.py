"""A call as a lane sees it, and its part of a batch's answers."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from service.prediction import Answer, Row
from service.wire.forms import Form, Values


class Ask:
    """One call: rows as they were read, in the one or the other way, or a body that is still to be read."""

    __slots__ = ("as_json", "body", "form", "rows", "started", "values")

    def __init__(
        self,
        *,
        form: Form | None,
        values: list[Values] | None = None,
        rows: Sequence[Row] | None = None,
        body: bytes = b"",
        as_json: bool = True,
    ) -> None:
        self.form = form
        self.values = values
        self.rows = rows
        self.body = body
        self.as_json = as_json
        self.started = time.perf_counter()

    def let_go(self) -> None:
        """Of what was asked, once it is answered."""
        self.values = self.rows = None
        self.body = b""


def fits(ask: Ask, form: Form) -> bool:
    """Whether what was read for another deployment is what this one would have read."""
    return ask.form is not None and ask.form.named == form.named and ask.form.columns == form.columns


def id_text(value: Any) -> str | None:
    """A caller's own id as text."""
    return value if value is None or type(value) is str else str(value)


def answers_of(
    form: Form,
    asks: Sequence[Ask],
    ids: Sequence[str],
    values: Sequence[Any],
    shares: Sequence[Sequence[float]] | None,
) -> list[Any]:
    """What a batch was answered, parted among its calls; as JSON for those that want it so."""
    answers: list[Any] = []
    start = 0
    for ask in asks:
        stop = start + len(ask.values or ())
        part = None if shares is None else shares[start:stop]
        if ask.as_json:
            answers.append(form.encode(ids[start:stop], values[start:stop], part))
        else:
            answers.append(
                Answer(
                    model_version=form.version,
                    ids=ids[start:stop],
                    values=values[start:stop],
                    probabilities=part,
                    classes=form.classes,
                )
            )
        start = stop
    return answers
