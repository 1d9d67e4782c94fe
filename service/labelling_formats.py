"""Rows to label as other tools take them, and the answers as these tools give them back.

Label Studio: its JSON tasks, and both of its exports (JSON, JSON-MIN). doccano: JSON Lines of text
classification. CSV: one row a line, with the columns ``label``, ``annotator`` and ``skip`` to fill in. In all of
them ``row_id`` says which row it is.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from xml.sax.saxutils import quoteattr

ROW_ID = "row_id"
_OWN = (ROW_ID, "label", "annotator", "skip", "why", "text", "id", "comments", "meta")
_TRUE = frozenset({"1", "true", "yes", "x"})


class Format(StrEnum):
    LABEL_STUDIO = "label-studio"
    DOCCANO = "doccano"
    CSV = "csv"


MEDIA_TYPES: Mapping[Format, tuple[str, str]] = {
    Format.LABEL_STUDIO: ("application/json", "json"),
    Format.DOCCANO: ("application/x-ndjson", "jsonl"),
    Format.CSV: ("text/csv", "csv"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """One answer as a file has it: ``label`` None is a skip, ``annotator`` None is whoever sends the file.

    ``place`` names it in messages (``line 3``, ``task 2``).
    """

    row_id: str
    label: str | None
    annotator: str | None = None
    place: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """One row to label, and the answers it has. ``guess`` is the model's, in the target's text."""

    row_id: str
    row: Mapping[str, Any]
    why: str = ""
    guess: str | None = None
    answers: Sequence[tuple[str, str | None]] = ()

    @property
    def text(self) -> str:
        """The row as a person reads it."""
        return "\n".join(f"{name}: {'' if value is None else value}" for name, value in self.row.items())

    @property
    def fields(self) -> dict[str, Any]:
        """The row's columns; one that is named like a field of the tools gets ``row.`` before its name."""
        return {f"row.{name}" if name.lower() in _OWN else name: value for name, value in self.row.items()}


class Unreadable(ValueError):
    """The file is not what it should be; the message says where."""


def render(sheets: Sequence[Sheet], format_: Format, *, is_number: bool) -> str:
    """The file to import into the tool."""
    if format_ is Format.LABEL_STUDIO:
        return json.dumps([_task(sheet, is_number) for sheet in sheets], ensure_ascii=False, default=str)
    if format_ is Format.DOCCANO:
        lines = (json.dumps(line, ensure_ascii=False, default=str) for line in _doccano(sheets))
        return "".join(f"{line}\n" for line in lines)
    return _csv(sheets)


def read(data: bytes, format_: Format) -> tuple[list[Given], int]:
    """The answers in a file that a tool exported, and how many rows in it have none. Raises Unreadable."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Unreadable("the file is not UTF-8") from None
    readers = {
        Format.LABEL_STUDIO: _read_label_studio,
        Format.DOCCANO: _read_doccano,
        Format.CSV: _read_csv,
    }
    found: list[Given] = []
    without = 0
    for answers in readers[format_](text):
        found += answers
        without += not answers
    return found, without


def label_config(classes: Sequence[str], *, is_number: bool) -> str:
    """The labelling interface that Label Studio needs for these tasks."""
    choices = "".join(f"<Choice value={quoteattr(label)}/>" for label in classes)
    control = (
        '<Number name="label" toName="text"/>'
        if is_number
        else f'<Choices name="label" toName="text" choice="single">{choices}</Choices>'
    )
    return f'<View><Text name="text" value="$text"/>{control}</View>'


# Label Studio


def _task(sheet: Sheet, is_number: bool) -> dict[str, Any]:
    task: dict[str, Any] = {
        "data": {ROW_ID: sheet.row_id, "text": sheet.text, "why": sheet.why, **sheet.fields}
    }
    if sheet.guess is not None:
        task["predictions"] = [{"result": [_result(sheet.guess, is_number)]}]
    if sheet.answers:
        task["annotations"] = [
            {
                "completed_by": {"email": annotator},
                "was_cancelled": label is None,
                "result": [] if label is None else [_result(label, is_number)],
            }
            for annotator, label in sheet.answers
        ]
    return task


def _result(label: str, is_number: bool) -> dict[str, Any]:
    named = {"from_name": "label", "to_name": "text"}
    if is_number:
        return {**named, "type": "number", "value": {"number": float(label)}}
    return {**named, "type": "choices", "value": {"choices": [label]}}


def _read_label_studio(text: str) -> Iterator[list[Given]]:
    try:
        tasks = json.loads(text)
    except ValueError:
        raise Unreadable("the file is not JSON") from None
    if not isinstance(tasks, list):
        raise Unreadable("the file is no list of tasks")
    for number, task in enumerate(tasks):
        place = f"task {number + 1}"
        if not isinstance(task, dict):
            raise Unreadable(f"{place} is no object")
        data = task.get("data")
        if isinstance(data, dict):
            row_id = _row_id(data, place)
            yield list(_annotations(task.get("annotations") or [], row_id, place))
        else:  # JSON-MIN: one flat object an annotation
            label = _label(task.get("label"), place)
            who = _who(task.get("annotator"))
            row_id = _row_id(task, place)
            yield [] if label is None else [Given(row_id=row_id, label=label, annotator=who, place=place)]


def _annotations(annotations: Any, row_id: str, place: str) -> Iterator[Given]:
    if not isinstance(annotations, list):
        raise Unreadable(f"'annotations' of {place} is no list")
    for annotation in annotations:
        if not isinstance(annotation, dict):
            raise Unreadable(f"an annotation of {place} is no object")
        who = _who(annotation.get("completed_by"))
        if annotation.get("was_cancelled"):
            yield Given(row_id=row_id, label=None, annotator=who, place=place)
            continue
        for result in annotation.get("result") or []:
            value = result.get("value") if isinstance(result, dict) else None
            if isinstance(value, dict):
                said = value.get("choices", value.get("number", value.get("text")))
                label = _label(said, place)
                if label is not None:
                    yield Given(row_id=row_id, label=label, annotator=who, place=place)
                    break


def _who(value: Any) -> str | None:
    """Who it was: a name, an e-mail address, or the number that the tool knows a person by."""
    if isinstance(value, dict):
        value = next((value[key] for key in ("email", "username", "id") if value.get(key) is not None), None)
    if isinstance(value, int):
        return f"label-studio {value}"
    return str(value) if value else None


# doccano


def _doccano(sheets: Iterable[Sheet]) -> Iterator[dict[str, Any]]:
    for sheet in sheets:
        line = {ROW_ID: sheet.row_id, "text": sheet.text, "why": sheet.why, **sheet.fields}
        if not sheet.answers:
            yield {**line, "label": []}
        for annotator, label in sheet.answers:
            said = {"skip": True} if label is None else {}
            yield {**line, "label": [] if label is None else [label], "annotator": annotator, **said}


def _read_doccano(text: str) -> Iterator[list[Given]]:
    for number, line in enumerate(text.split("\n")):
        if not line.strip():
            continue
        place = f"line {number + 1}"
        try:
            entry = json.loads(line)
        except ValueError:
            raise Unreadable(f"{place} is not JSON") from None
        if not isinstance(entry, dict):
            raise Unreadable(f"{place} is no object")
        meta = entry.get("meta")  # before doccano 1.5 everything else was in there
        facts = {**(meta if isinstance(meta, dict) else {}), **entry}
        row_id, who = _row_id(facts, place), _who(facts.get("annotator") or facts.get("username"))
        label = _label(facts.get("label", facts.get("labels")), place)
        if label is None and facts.get("skip") is not True:
            yield []
        else:
            yield [Given(row_id=row_id, label=label, annotator=who, place=place)]


# CSV


def _csv(sheets: Sequence[Sheet]) -> str:
    own = (ROW_ID, "label", "annotator", "skip", "why")
    names = list(dict.fromkeys(name for sheet in sheets for name in sheet.fields))
    out = io.StringIO()
    writer = csv.DictWriter(out, [*own, *names], lineterminator="\n")
    writer.writeheader()
    for sheet in sheets:
        line = {ROW_ID: sheet.row_id, "why": sheet.why, **sheet.fields}
        for annotator, label in sheet.answers or [("", "")]:
            writer.writerow(
                {
                    **line,
                    "label": label or "",
                    "annotator": annotator,
                    "skip": "true" if label is None else "",
                }
            )
    return out.getvalue()


def _read_csv(text: str) -> Iterator[list[Given]]:
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    try:
        names = reader.fieldnames or ()
        if ROW_ID not in names or "label" not in names:
            raise Unreadable(f"the header has no column {ROW_ID!r} or no column 'label'")
        for entry in reader:
            place = f"line {reader.line_num}"
            row_id, label = _row_id(entry, place), entry.get("label") or None
            skipped = (entry.get("skip") or "").strip().lower() in _TRUE
            if label is None and not skipped:
                yield []
            else:
                who = entry.get("annotator") or None
                yield [Given(row_id=row_id, label=label, annotator=who, place=place)]
    except csv.Error as error:
        raise Unreadable(f"line {reader.line_num}: {error}") from None


def _row_id(facts: Mapping[str, Any], place: str) -> str:
    value = facts.get(ROW_ID)
    if isinstance(value, bool) or not isinstance(value, str | int) or value == "":
        raise Unreadable(f"{place} has no {ROW_ID!r}")
    return str(value)


def _label(value: Any, place: str) -> str | None:
    """The one label among what a tool has for it; None for none."""
    if isinstance(value, list):
        if len(value) > 1:
            raise Unreadable(f"{place} has {len(value)} labels, where a row has one")
        value = value[0] if value else None
    if isinstance(value, dict):
        value = value.get("choices", value.get("text"))
        return _label(value, place)
    if value is None or value == "":
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
