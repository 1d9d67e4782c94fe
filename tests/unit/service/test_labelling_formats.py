"""Answers that leave in a tool's format come back the same."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.labelling_formats import Format, Given, Sheet, Unreadable, label_config, read, render

WORD = st.text(st.characters(blacklist_categories=["Cs", "Cc"]), min_size=1, max_size=12)
CELL = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), WORD
)
NAMES = st.sampled_from(
    ["size", "label", "row_id", "Text", "why", "skip", "meta", "größe", "a,b", '"', "annotator"]
)


@st.composite
def sheets(draw: st.DrawFn, labels: st.SearchStrategy[str] = WORD) -> list[Sheet]:
    ids = draw(st.lists(WORD, unique=True, max_size=4))
    people = st.dictionaries(WORD, st.one_of(st.none(), labels), max_size=3)
    return [
        Sheet(
            row_id=row,
            row=draw(st.dictionaries(NAMES, CELL, max_size=4)),
            why="uncertain",
            guess=draw(st.one_of(st.none(), labels)),
            answers=tuple(draw(people).items()),
        )
        for row in ids
    ]


def said(found: list[Given]) -> list[tuple[str, str | None, str | None]]:
    return [(one.row_id, one.annotator, one.label) for one in found]


@pytest.mark.parametrize("format_", Format)
@given(data=st.data())
def test_what_is_written_is_read_back(format_: Format, data: st.DataObject) -> None:
    given_ = data.draw(sheets())
    found, without = read(render(given_, format_, is_number=False).encode(), format_)
    assert said(found) == [(one.row_id, who, label) for one in given_ for who, label in one.answers]
    assert without == sum(not one.answers for one in given_)


@given(given_=sheets(st.floats(allow_nan=False, allow_infinity=False).map(repr)))
def test_numbers_survive_label_studio_exactly(given_: list[Sheet]) -> None:
    found, _ = read(render(given_, Format.LABEL_STUDIO, is_number=True).encode(), Format.LABEL_STUDIO)
    assert said(found) == [(one.row_id, who, label) for one in given_ for who, label in one.answers]


def _read_or_refuse(data: bytes, format_: Format) -> None:
    refusal = None
    try:
        read(data, format_)
    except Unreadable as error:
        refusal = str(error)
    assert refusal is None or refusal


@pytest.mark.parametrize("format_", Format)
@given(
    data=st.one_of(
        st.binary(max_size=60),
        st.text(max_size=60).map(str.encode),
        st.from_type(type(None)).map(lambda _: b""),
    )
)
def test_any_bytes_are_read_or_refused_with_a_sentence(format_: Format, data: bytes) -> None:
    _read_or_refuse(data, format_)


@given(
    data=st.recursive(
        st.one_of(st.none(), st.booleans(), st.integers(), WORD),
        lambda inner: st.one_of(
            st.lists(inner, max_size=3),
            st.dictionaries(
                st.sampled_from(
                    [
                        "data",
                        "row_id",
                        "annotations",
                        "result",
                        "value",
                        "choices",
                        "label",
                        "meta",
                        "completed_by",
                    ]
                ),
                inner,
                max_size=4,
            ),
        ),
        max_leaves=12,
    )
)
def test_json_of_any_shape_is_read_or_refused_with_a_sentence(data: object) -> None:
    for format_ in (Format.LABEL_STUDIO, Format.DOCCANO):
        _read_or_refuse(json.dumps(data).encode(), format_)


def test_the_other_forms_that_these_tools_export_are_read_too() -> None:
    flat = [{"id": 3, "row_id": "a", "text": "…", "label": "yes", "annotator": 7, "annotation_id": 1}]
    found, _ = read(json.dumps(flat).encode(), Format.LABEL_STUDIO)
    assert said(found) == [("a", "label-studio 7", "yes")]
    old = '{"id": 1, "text": "…", "meta": {"row_id": "a"}, "labels": ["no"]}\n'
    assert said(read(old.encode(), Format.DOCCANO)[0]) == [("a", None, "no")]
    excel = "\ufeffrow_id,label\r\na,yes\r\nb,\r\n"
    found, without = read(excel.encode(), Format.CSV)
    assert (said(found), without) == ([("a", None, "yes")], 1)


def test_two_labels_for_one_row_are_refused() -> None:
    with pytest.raises(Unreadable, match="line 1 has 2 labels"):
        read(b'{"row_id": "a", "label": ["yes", "no"]}', Format.DOCCANO)


def test_the_interface_quotes_what_classes_are_called() -> None:
    assert "&lt;b&gt;" in label_config(["<b>"], is_number=False)
    assert "<Number" in label_config([], is_number=True)
