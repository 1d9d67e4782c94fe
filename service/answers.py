"""Reads the labels of a feedback call, and names exactly what is wrong with them."""

from __future__ import annotations

from typing import Any

import msgspec

from automl.columns import scalar_text
from automl.schema import Schema, TargetSpec
from service.feedback import Answer
from service.problems import MOST_ERRORS, Problem

MOST_LABELS = 100_000
LONGEST_ID = 255
LONGEST_NAME = 100
REMEDY = 'Send {"labels": [{"id": row id, "label": value}, …]}.'


def read_answers(body: bytes, schema: Schema | None) -> tuple[list[Answer], bool, str | None]:
    """The answers of ``{"labels": [{"id", "label"}], "replace"?, "origin"?}``, whether they replace others, and
    where they are from.

    Before the first upload there is no ``schema``, and no label can be at fault (nor any id be known).
    Raises a problem that names the field at fault, such as ``labels[3].label``.
    """
    items, replaces, origin = _items(body)
    answers: list[Answer] = []
    errors: list[dict[str, str]] = []
    for at, item in enumerate(items):
        fault = _fault(item)
        label = None
        if fault is None:
            label, fault = _label(item["label"], schema.target if schema is not None else None)
        if fault is None and label is not None:
            answers.append(Answer(row_id=str(item["id"]), label=label))
        elif fault is not None:
            part, code, detail = fault
            errors.append({"field": f"labels[{at}]{part}", "code": code, "detail": detail})
            if len(errors) >= MOST_ERRORS:
                break
    if errors:
        raise _problem(errors, schema)
    return answers, replaces, origin


def _items(body: bytes) -> tuple[list[Any], bool, str | None]:
    try:
        data = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Problem(400, "not_json", "The body is not valid JSON.", field="body", remedy=REMEDY) from None
    if not isinstance(data, dict):
        raise _malformed("body", "The body is not a JSON object.")
    strange = sorted(set(data) - {"labels", "replace", "origin"})
    if strange:
        raise _malformed(strange[0], f"{strange[0]!r} is not a part of this call.")
    if not isinstance(data.get("labels"), list):
        raise _malformed("labels", "'labels' is missing or not a list.")
    items: list[Any] = data["labels"]
    if not items:
        raise _malformed("labels", "'labels' is empty.")
    if len(items) > MOST_LABELS:
        raise Problem(
            413,
            "too_many_labels",
            f"A call takes at most {MOST_LABELS:,} labels.",
            field="labels",
            remedy="Split them into several calls.",
            limit=MOST_LABELS,
        )
    replaces = data.get("replace", False)
    if not isinstance(replaces, bool):
        raise _malformed("replace", "'replace' is not true or false.")
    origin = data.get("origin")
    if origin is not None and (not isinstance(origin, str) or not is_name(origin)):
        raise _malformed("origin", f"'origin' is no name of at most {LONGEST_NAME} characters.")
    return items, replaces, origin


def is_name(text: str) -> bool:
    """Whether this can name an annotator or another origin of labels: printable, not blank, not too long."""
    return 0 < len(text) <= LONGEST_NAME and text.isprintable() and text.strip() == text


def _fault(item: Any) -> tuple[str, str, str] | None:
    """The part of an item that is malformed, a code and a sentence."""
    if not isinstance(item, dict):
        return "", "not_an_object", "it is not an object with 'id' and 'label'"
    row_id = item.get("id")
    if "id" not in item or row_id is None:
        return ".id", "missing_id", "'id' is missing"
    if isinstance(row_id, bool) or not isinstance(row_id, str | int):
        return ".id", "invalid_id", "'id' is not a string or a whole number"
    if not 0 < len(str(row_id)) <= LONGEST_ID:
        return ".id", "invalid_id", f"'id' has not 1 to {LONGEST_ID} characters"
    label = item.get("label")
    if "label" not in item or label is None:
        return ".label", "missing_label", "'label' is missing"
    if isinstance(label, dict | list):
        return ".label", "invalid_label", "'label' is not a plain value"
    strange = sorted(set(item) - {"id", "label"})
    return (f".{strange[0]}", "unknown_field", "only 'id' and 'label' are known") if strange else None


def _label(value: Any, target: TargetSpec | None) -> tuple[str | None, tuple[str, str, str] | None]:
    if target is None:
        return scalar_text(value), None
    try:
        return target.text(target.parse(value)), None
    except (ValueError, OverflowError) as error:
        return None, (".label", "unknown_label" if target.classes else "unparsable_label", str(error))


def _problem(errors: list[dict[str, str]], schema: Schema | None) -> Problem:
    first = errors[0]
    remedy = REMEDY
    if first["code"] == "unknown_label" and schema is not None:
        shown = ", ".join(repr(label) for label in schema.target.classes[:20])
        remedy = f"The classes are {shown}; add one with PUT …/schema."
    elif first["code"] == "unparsable_label":
        remedy = "The target is a number: send a finite one."
    return Problem(
        422,
        first["code"],
        f"{first['field']}: {first['detail']}. Nothing was stored.",
        field=first["field"],
        remedy=remedy,
        errors=errors,
    )


def _malformed(field: str, detail: str) -> Problem:
    return Problem(422, "invalid_request", detail, field=field, remedy=REMEDY)
