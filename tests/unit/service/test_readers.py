from __future__ import annotations

import gzip
import io
import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from intake_home import bomb, jsonl, parquet

from service.chunks import BrokenRow, Chunk, Limits
from service.problems import Problem
from service.readers import Format, open_source, read, rows_source

LIMITS = Limits(expanded_bytes=50_000_000, rows=1_000_000, columns=300)


def _chunks(
    body: bytes,
    filename: str | None = None,
    *,
    media_type: str | None = None,
    known: tuple[str, ...] = ("y",),
    limits: Limits = LIMITS,
    chunk_rows: int = 20_000,
) -> list[Chunk]:
    source = open_source(
        io.BytesIO(body),
        filename=filename,
        media_type=media_type,
        known=known,
        limits=limits,
        folder=Path("/tmp"),
    )
    return list(read(source, chunk_rows=chunk_rows))


def _rows(chunks: list[Chunk]) -> list[dict[str, Any]]:
    return [row for chunk in chunks for row in chunk.table.to_pylist()]


def _lines(chunks: list[Chunk]) -> list[int]:
    return [int(line) for chunk in chunks for line in chunk.lines]


def _broken(chunks: list[Chunk]) -> list[BrokenRow]:
    return [row for chunk in chunks for row in chunk.broken]


def _problem(body: bytes, filename: str | None = None, **more: Any) -> Problem:
    with pytest.raises(Problem) as caught:
        _chunks(body, filename, **more)
    assert caught.value.field
    assert caught.value.remedy
    return caught.value


# which format


@pytest.mark.parametrize(
    ("filename", "media_type", "body", "expected"),
    [
        ("a.csv", None, b"a,y\n1,2\n", Format.CSV),
        ("A.TSV", None, b"a\ty\n1\t2\n", Format.CSV),
        ("a.csv.gz", None, gzip.compress(b"a,y\n1,2\n"), Format.CSV),
        ("a.csv.gz", None, b"a,y\n1,2\n", Format.CSV),  # a client had it decompressed on the way
        ("a.jsonl", None, b'{"y":1}\n', Format.JSONL),
        ("a.ndjson.gz", None, gzip.compress(b'{"y":1}\n'), Format.JSONL),
        ("a.json", None, b'{"y":1}\n', Format.JSONL),
        (None, "text/csv; charset=utf-8", b"a,y\n1,2\n", Format.CSV),
        (None, "application/x-ndjson", b'{"y":1}\n', Format.JSONL),
        (None, "application/octet-stream", b"a,y\n1,2\n", Format.CSV),
        (None, None, b'  {"y":1}\n', Format.JSONL),
        ("a.csv", None, parquet({"y": [1]}), Format.PARQUET),  # the first bytes are surer than a name
        ("a.parquet.gz", None, gzip.compress(parquet({"y": [1]})), Format.PARQUET),
    ],
)
def test_the_format_is_found(filename: str, media_type: str, body: bytes, expected: Format) -> None:
    source = open_source(
        io.BytesIO(body),
        filename=filename,
        media_type=media_type,
        known=["y"],
        limits=LIMITS,
        folder=Path("/tmp"),
    )
    assert source.format is expected
    assert len(_rows(list(read(source)))) == 1


@pytest.mark.parametrize("body", [b"PK\x03\x04rest", b"BZh91AY", b"%PDF-1.7", b"SQLite format 3\0"])
def test_foreign_formats_are_named(body: bytes) -> None:
    problem = _problem(body, "a.csv")
    assert (problem.status, problem.code) == (415, "unknown_format")


def test_an_unknown_extension_with_binary_content_is_refused() -> None:
    assert _problem(b"\x93binary", "a.xlsx").code == "unknown_format"


# CSV


def test_csv_values_stay_strings_and_empty_ones_empty() -> None:
    assert _rows(_chunks(b'a,b,y\n1,"x, y",\n,"""q""",no\n')) == [
        {"a": "1", "b": "x, y", "y": ""},
        {"a": "", "b": '"q"', "y": "no"},
    ]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_the_one_that_gives_the_names_we_know(delimiter: str) -> None:
    body = delimiter.join(["a", "b", "y"]) + "\n" + delimiter.join(["1,5", "x", "no"]) + "\n"
    if delimiter == ",":
        body = 'a,b,y\n"1,5",x,no\n'
    assert _rows(_chunks(body.encode())) == [{"a": "1,5", "b": "x", "y": "no"}]


def test_a_comma_within_a_name_does_not_win_over_the_right_delimiter() -> None:
    assert list(_rows(_chunks(b"height, cm;y\n1;2\n"))[0]) == ["height, cm", "y"]


def test_line_ends_of_windows_and_a_byte_order_mark_are_taken() -> None:
    assert _rows(_chunks(b"\xef\xbb\xbfa,y\r\n1,2\r\n")) == [{"a": "1", "y": "2"}]


def test_line_ends_within_quotes_belong_to_the_value() -> None:
    assert _rows(_chunks(b'a,y\n"1\n2",x\n3,z\n'))[0] == {"a": "1\n2", "y": "x"}


def test_a_last_line_without_line_end_counts() -> None:
    assert len(_rows(_chunks(b"a,y\n1,2"))) == 1


def test_rows_of_the_wrong_length_are_set_aside_with_their_lines() -> None:
    chunks = _chunks(b"a,y\n1,2\n3\n4,5\n\n6,7,8\n9,10\n")
    assert _lines(chunks) == [1, 3, 5]
    assert [(row.line, row.code, row.row) for row in _broken(chunks)] == [
        (2, "ragged_row", "3"),
        (4, "ragged_row", "6,7,8"),
    ]


@given(st.lists(st.booleans(), min_size=1, max_size=300), st.integers(1, 50))
def test_every_csv_row_keeps_its_line_whatever_is_broken_around_it(good: list[bool], chunk_rows: int) -> None:
    body = "a,y\n" + "".join(f"{at},x\n" if ok else f"{at}\n" for at, ok in enumerate(good, start=1))
    chunks = _chunks(body.encode(), chunk_rows=chunk_rows)
    assert [(int(row["a"]), line) for row, line in zip(_rows(chunks), _lines(chunks), strict=True)] == [
        (at, at) for at, ok in enumerate(good, start=1) if ok
    ]
    assert [row.line for row in _broken(chunks)] == [at for at, ok in enumerate(good, start=1) if not ok]


def test_broken_rows_far_into_a_large_file_keep_their_lines() -> None:
    body = b"a,y\n" + b"1,2\n" * 700_000 + b"oops\n" + b"1,2\n" * 5
    chunks = _chunks(body)
    assert [row.line for row in _broken(chunks)] == [700_001]
    assert _lines(chunks)[-1] == 700_006
    assert max(chunk.table.num_rows for chunk in chunks) <= 20_000


def test_a_flood_of_broken_rows_ends_the_reading() -> None:
    assert _problem(b"a,y\n" + b"1\n" * 300_000).code == "ragged_row"


@pytest.mark.parametrize("body", [b"", b"\n\n", b"  \r\n", b"\xef\xbb\xbf"])
def test_an_empty_file_is_refused(body: bytes) -> None:
    problem = _problem(body, "a.csv")
    assert (problem.status, problem.code) == (422, "empty")


@pytest.mark.parametrize("body", [b"a,y\n", b"a,y"])
def test_a_header_alone_gives_no_rows(body: bytes) -> None:
    assert _rows(_chunks(body)) == []


@pytest.mark.parametrize("body", [b"a,y\n1,2\n3,\xff\n", b"a,y\n1,2\n" + "ü,x\n".encode("latin-1")])
def test_text_that_is_not_utf8_is_refused_by_its_line(body: bytes) -> None:
    problem = _problem(body)
    assert problem.code == "not_utf8"
    assert "Line 3" in problem.detail


def test_utf16_is_refused() -> None:
    assert _problem("a,y\n1,2\n".encode("utf-16"), "a.csv").code in ("not_utf8", "not_text")


def test_a_character_across_two_reads_is_fine() -> None:
    body = b"a,y\n" + "ü,x\n".encode() * 600_000
    assert sum(chunk.table.num_rows for chunk in _chunks(body)) == 600_000


def test_nul_bytes_are_refused() -> None:
    assert _problem(b"a,y\n1,\0\n").code == "not_text"


@pytest.mark.parametrize("header", [b"a,b,a,y", b"a,A,y"])
def test_a_repeated_column_is_refused_by_its_name(header: bytes) -> None:
    problem = _problem(header + b"\n1,2,3,4\n")
    assert (problem.code, problem.field) == ("duplicate_columns", "a")


def test_more_columns_than_allowed_are_refused_before_rows_are_read() -> None:
    body = ",".join(f"c{at}" for at in range(301)).encode() + b"\n"
    assert (_problem(body).status, _problem(body).code) == (413, "too_many_columns")


def test_two_hundred_columns_are_fine() -> None:
    names = [f"c{at}" for at in range(200)]
    body = ",".join(names) + "\n" + ",".join("1" for _ in names) + "\n"
    assert list(_rows(_chunks(body.encode()))[0]) == names


def test_a_row_beyond_all_measure_is_refused() -> None:
    assert _problem(b'a,y\n"' + b"x" * 9_000_000 + b'",1\n3,4\n').code == "row_too_long"


def test_more_rows_than_allowed_are_refused() -> None:
    few = Limits(expanded_bytes=10**9, rows=100, columns=10)
    problem = _problem(b"a,y\n" + b"1,2\n" * 101, limits=few)
    assert (problem.status, problem.code) == (413, "too_many_rows")


# gzip


def test_a_truncated_gzip_file_is_refused() -> None:
    body = gzip.compress(b"a,y\n" + b"1,2\n" * 100_000)
    assert _problem(body[: len(body) // 2], "a.csv.gz").code == "broken_gzip"


def test_a_damaged_gzip_file_is_refused() -> None:
    body = bytearray(gzip.compress(json.dumps(list(range(5000))).encode()))
    body[200:220] = bytes(20)
    assert _problem(bytes(body), "a.csv.gz").code == "broken_gzip"


@pytest.mark.parametrize("filename", ["a.csv.gz", "a.jsonl.gz", "a.parquet.gz"])
@pytest.mark.parametrize("members", [1, 40])
def test_what_expands_too_far_is_refused_whatever_its_trailer_says(filename: str, members: int) -> None:
    line = b'{"a": "' + b"z" * 990 + b'"}\n'
    body = bomb(line * 1000, 60 // members + 1, members=members, head=line)
    problem = _problem(body, filename)
    assert (problem.status, problem.code) == (413, "expanded_too_large")


# JSON Lines and JSON rows


def test_json_lines_may_name_their_columns_in_any_order_or_not_at_all() -> None:
    rows = _rows(_chunks(jsonl([{"a": 1, "y": "n"}, {"y": "j", "b": "x"}]), "a.jsonl"))
    assert rows == [{"a": 1, "y": "n", "b": None}, {"a": None, "y": "j", "b": "x"}]


def test_lines_that_are_no_objects_are_set_aside() -> None:
    chunks = _chunks(b'{"y":1}\nnot json\n\n[1]\n7\nnull\n{"y":2}\n', "a.jsonl")
    assert _lines(chunks) == [1, 6]
    assert [(row.line, row.code) for row in _broken(chunks)] == [
        (2, "not_json"),
        (3, "not_an_object"),
        (4, "not_an_object"),
        (5, "not_an_object"),
    ]


def test_rows_with_nested_values_are_set_aside_and_the_others_stay() -> None:
    chunks = _chunks(jsonl([{"a": 1, "y": 1}, {"a": {"b": 2}, "y": 1}, {"a": [3], "y": 2}]), "a.jsonl")
    assert _lines(chunks) == [1]
    assert [(row.line, row.code) for row in _broken(chunks)] == [(2, "nested_value"), (3, "nested_value")]


def test_python_words_for_numbers_that_are_none_are_read() -> None:
    rows = _rows(_chunks(b'{"a": NaN, "y": 1}\n{"a": Infinity, "y": 2}\n', "a.jsonl"))
    assert rows[1]["a"] == float("inf")


@pytest.mark.parametrize(
    "line", [b'{"a": "\\ud800"}', b'{"a": ' + b"[" * 100_000, b'{"a": 1}}', b'{"a": "\\u0000"}']
)
def test_json_that_no_table_can_hold_is_set_aside(line: bytes) -> None:
    chunks = _chunks(line + b'\n{"a": "x"}\n', "a.jsonl")
    assert _lines(chunks) == [2]


def test_numbers_beyond_all_integers_do_not_stop_the_reading() -> None:
    chunks = _chunks(b'{"a": 1}\n{"a": 123456789012345678901234567890}\n{"a": 1e400}\n', "a.jsonl")
    assert len(_rows(chunks)) == 3


def test_a_json_list_is_not_json_lines() -> None:
    assert _problem(b'[{"a": 1}]', "a.json").code == "not_rows"


def test_a_flood_of_names_does_not_become_a_flood_of_columns() -> None:
    body = jsonl([{f"c{at}": 1} for at in range(1000)])
    assert _problem(body, "a.jsonl").code == "too_many_columns"


def test_wide_rows_make_smaller_chunks() -> None:
    row = {f"c{at}": 1 for at in range(250)}
    chunks = _chunks(jsonl([row] * 10_000), "a.jsonl")
    assert max(chunk.table.num_rows * 250 for chunk in chunks) <= 2_100_000
    assert sum(chunk.table.num_rows for chunk in chunks) == 10_000


def _json_rows(body: bytes) -> list[Chunk]:
    return list(read(rows_source(io.BytesIO(body), limits=LIMITS, folder=Path("/tmp"))))


def test_json_rows_are_read() -> None:
    assert _rows(_json_rows(b'{"rows": [{"a": 1}, {"a": null}], "other": 1}')) == [{"a": 1}, {"a": None}]


def test_json_rows_may_hold_nan() -> None:
    assert len(_rows(_json_rows(b'{"rows": [{"a": NaN}, {"a": 2}]}'))) == 2


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"{", 400, "not_json"),
        (b"", 400, "not_json"),
        (b"\xff", 400, "not_json"),
        (b"[1]", 422, "not_rows"),
        (b"null", 422, "not_rows"),
        (b'"rows"', 422, "not_rows"),
        (b"{}", 422, "not_rows"),
        (b'{"row": []}', 422, "not_rows"),
        (b'{"rows": {}}', 422, "not_rows"),
        (b'{"rows": "x"}', 422, "not_rows"),
    ],
)
def test_json_that_is_not_rows_is_refused(body: bytes, status: int, code: str) -> None:
    with pytest.raises(Problem) as caught:
        _json_rows(body)
    assert (caught.value.status, caught.value.code) == (status, code)
    assert caught.value.field
    assert caught.value.remedy


def test_a_flood_of_tiny_json_rows_is_refused_before_it_is_parsed() -> None:
    with pytest.raises(Problem) as caught:
        _json_rows(b'{"rows": [' + b"{}," * 1_000_002 + b"{}]}")
    assert caught.value.code == "too_many_rows"


def test_items_that_are_no_rows_are_set_aside() -> None:
    chunks = _json_rows(b'{"rows": [{"a": 1}, 3, [1], "x", {"a": 2}]}')
    assert _lines(chunks) == [1, 5]
    assert [row.line for row in _broken(chunks)] == [2, 3, 4]


# Parquet


def test_parquet_types_become_the_few_that_the_schema_knows() -> None:
    table = pa.table(
        {
            "i": pa.array([1, 2], pa.int16()),
            "d": pa.array([Decimal("1.5"), None], pa.decimal128(5, 2)),
            "s": pa.array(["x", None], pa.large_string()),
            "c": pa.array(["u", "v"]).dictionary_encode(),
            "t": pa.array([datetime(2026, 1, 1, tzinfo=UTC)] * 2, pa.timestamp("ns", "UTC")),
            "b": pa.array([b"raw", b"txt"], pa.binary()),
            "n": pa.nulls(2),
        }
    )
    read_back = _chunks(parquet(table), "a.parquet")[0].table
    assert read_back.schema.field("d").type == pa.float64()
    assert {str(read_back.schema.field(name).type) for name in ("s", "c", "b")} == {"string"}
    assert read_back.column("c").to_pylist() == ["u", "v"]


def test_nested_parquet_columns_are_refused_by_name() -> None:
    problem = _problem(parquet({"a": [[1], [2]], "y": [1, 2]}), "a.parquet")
    assert (problem.code, problem.field) == ("nested_value", "a")


@pytest.mark.parametrize("cut", [5, 50, -1, -20])
def test_damaged_parquet_is_refused(cut: int) -> None:
    body = parquet({"a": list(range(1000)), "y": [1] * 1000})
    assert _problem(body[:cut], "a.parquet").code == "unreadable_parquet"


def test_parquet_with_more_rows_than_allowed_is_refused_by_its_footer() -> None:
    few = Limits(expanded_bytes=10**9, rows=100, columns=10)
    assert _problem(parquet({"y": [1] * 101}), "a.parquet", limits=few).code == "too_many_rows"


def test_a_parquet_dictionary_of_few_large_texts_does_not_fill_the_memory() -> None:
    text = pa.DictionaryArray.from_arrays(pa.array([0] * 20_000, pa.int32()), pa.array(["x" * 100_000]))
    sink = io.BytesIO()
    pq.write_table(pa.table({"a": text}), sink, compression="zstd")
    assert sink.tell() < 1_000_000
    before = pa.default_memory_pool().bytes_allocated()
    problem = _problem(sink.getvalue(), "a.parquet")  # two gigabytes when written out
    assert problem.code == "expanded_too_large"
    assert pa.default_memory_pool().bytes_allocated() - before < 50_000_000


def test_a_gzipped_parquet_file_leaves_no_copy_behind(tmp_path: Path) -> None:
    source = open_source(
        io.BytesIO(gzip.compress(parquet({"y": [1, 2]}))),
        filename="a.parquet.gz",
        media_type=None,
        known=[],
        limits=LIMITS,
        folder=tmp_path,
    )
    assert len(_rows(list(read(source)))) == 2
    assert list(tmp_path.iterdir()) == []


# anything


def _chunks_or_refusal(body: bytes, filename: str | None) -> list[Chunk]:
    try:
        return _chunks(body, filename)
    except Problem as problem:
        if not 400 <= problem.status < 500:
            raise
        return []


@given(st.binary(max_size=300), st.sampled_from(["a.csv", "a.jsonl", "a.parquet", "a.csv.gz", None]))
def test_any_bytes_are_read_or_refused_with_a_problem(body: bytes, filename: str | None) -> None:
    chunks = _chunks_or_refusal(body, filename)
    assert len(_lines(chunks)) == len(_rows(chunks))


@given(st.text(alphabet='ab,;"\n\r\t|1{}[]: ', max_size=200), st.sampled_from(["a.csv", "a.jsonl"]))
def test_any_text_is_read_or_refused_with_a_problem(text: str, filename: str) -> None:
    chunks = _chunks_or_refusal(text.encode(), filename)
    assert len(_lines(chunks)) == len(_rows(chunks))


def test_rows_without_any_column_are_broken_rows() -> None:
    found = _chunks(b"{}\n{}\n", "a.jsonl")
    assert _rows(found) == []
    assert [(row.line, row.code) for row in _broken(found)] == [(1, "no_columns"), (2, "no_columns")]
