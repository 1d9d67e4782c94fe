"""``incumbent upload``, ``predict`` and ``feedback``: rows in, answers out, truth back."""

from __future__ import annotations

import csv
import gzip
import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import IO, Annotated, Any

import typer

from service.commands.answer_cells import BECAUSE, OTHERWISE, cell, write
from service.commands.console import CommandError, Exit, out, show, show_json, show_table
from service.commands.options import AsJson, Key, ProjectName, Url, connect
from service.commands.progress import counting, sending
from service.commands.run_after import follow, now
from service.explain_messages import MOST_COUNTERFACTUALS

AT_ONCE = 1000
"""Rows a request when a file is predicted or labels are sent."""
SHOWN = 20

RowsFile = Annotated[
    str | None,
    typer.Argument(metavar="FILE", help="CSV, JSON Lines or Parquet (.gz too); '-' reads JSON from stdin."),
]


def upload(
    project: ProjectName,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="CSV, Parquet or JSON Lines; each also .gz.")],
    origin: Annotated[str | None, typer.Option(help="Who gave the labels, where several do.")] = None,
    idempotency_key: Annotated[
        str | None, typer.Option(help="Sending again under the same key stores nothing twice.")
    ] = None,
    watch: Annotated[
        bool, typer.Option("--watch", help="Follow the run that it starts, until its champion serves.")
    ] = False,
    url: Url = None,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Upload rows, with or without their labels; with --watch, exit 6 when no run starts, or it fails."""
    with connect(url, key) as server:
        before = now(server, project) if watch else None
        with sending(file.name, quiet=as_json) as progress:
            sent = server.upload(
                project, file, origin=origin, idempotency_key=idempotency_key, progress=progress
            )
        if before is None:
            show(dict(sent), as_json)
            return
        if not as_json:
            show(dict(sent), as_json)
        state = follow(server, project, before, quiet=as_json)
    if as_json:
        show_json({**sent, "run": state})
    if state is None or state.get("status") != "completed":
        raise typer.Exit(Exit.RUN_FAILED)


def predict(
    project: ProjectName,
    file: RowsFile = None,
    row: Annotated[list[str] | None, typer.Option(help="One row as a JSON object; may be repeated.")] = None,
    explain: Annotated[bool, typer.Option("--explain", help="Add each feature's contribution.")] = False,
    counterfactual: Annotated[
        bool, typer.Option("--counterfactual", help="Explain, and add what would change the class.")
    ] = False,
    output: Annotated[
        Path | None, typer.Option(help="Write the answers to this file: .csv, else JSON Lines.")
    ] = None,
    url: Url = None,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Ask the champion."""
    given_rows = _named_rows(file, row)
    answers: list[Mapping[str, Any]] = []
    versions: list[int] = []
    with connect(url, key) as server, counting("answered", quiet=as_json) as counted:
        for some in _chunks(given_rows, MOST_COUNTERFACTUALS if counterfactual else AT_ONCE):
            answer = server.predict(project, some, explain=explain, counterfactual=counterfactual)
            answers.extend(answer["predictions"])
            versions.append(answer["model_version"])
            counted(len(some))
    if output is not None:
        write(output, answers)
        show({"model_version": versions[-1], "answers": len(answers), "file": str(output)}, as_json)
        return
    if as_json:
        show_json({"model_version": versions[-1], "predictions": answers})
        return
    columns = ("id", "value", "probabilities", *_asked(explain, counterfactual))
    table = [tuple(cell(one, column) for column in columns) for one in answers[:SHOWN]]
    show_table(columns, table, empty="No row.", title=f"model version {versions[-1]}")
    if len(answers) > SHOWN:
        out().print(f"… and {len(answers) - SHOWN} more; --json shows all", style="dim")


def _asked(explain: bool, counterfactual: bool) -> tuple[str, ...]:
    if counterfactual:
        return BECAUSE, OTHERWISE
    return (BECAUSE,) if explain else ()


def feedback(
    project: ProjectName,
    file: RowsFile = None,
    label: Annotated[
        list[str] | None, typer.Option(help="ID=LABEL; may be repeated.", metavar="ID=LABEL")
    ] = None,
    url: Url = None,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Tell the truth about rows: a file with the columns id and label, or --label."""
    done: dict[str, Any] = {"accepted": 0, "unknown": [], "conflicting": []}
    with connect(url, key) as server, counting("told", quiet=as_json) as counted:
        for some in _chunks(_named_labels(file, label)):
            answer = server.feedback(project, some)
            counted(len(some))
            done["accepted"] += answer["accepted"]
            done["unknown"] += answer["unknown"]
            done["conflicting"] += answer["conflicting"]
    show(done, as_json)


def _named_rows(file: str | None, row: list[str] | None) -> Iterable[Mapping[str, Any]]:
    if (file is None) == (not row):
        raise CommandError(
            "Give the rows.", remedy="Name a FILE, or use --row '{\"column\": 1}'.", code=Exit.USAGE
        )
    if file is not None:
        return read_rows(file)
    return [_json_row(text, "--row") for text in row or []]


def _named_labels(file: str | None, label: list[str] | None) -> Iterable[tuple[str, Any]]:
    if (file is None) == (not label):
        raise CommandError(
            "Give the labels.", remedy="Name a FILE, or use --label ID=LABEL.", code=Exit.USAGE
        )
    if file is None:
        pairs = [text.rpartition("=") for text in label or []]
        if not all(name and mark for name, mark, _ in pairs):
            raise CommandError("A label is written ID=LABEL.", remedy="Say --label 17=yes.", code=Exit.USAGE)
        return [(name, value) for name, _, value in pairs]
    return (_pair(row, file) for row in read_rows(file))


def _pair(row: Mapping[str, Any], file: str) -> tuple[str, Any]:
    if "id" not in row or "label" not in row:
        raise CommandError(
            f"{file} lacks the column id or label.", remedy="Name the two columns id and label."
        )
    return str(row["id"]), row["label"]


def read_rows(file: str) -> Iterator[Mapping[str, Any]]:
    """The rows of a CSV, JSON Lines, JSON or Parquet file (``.gz`` too), as they are; ``-`` is stdin."""
    if file == "-":
        yield from _json_rows(sys.stdin, "stdin")
        return
    path = Path(file)
    if not path.is_file():
        raise CommandError(f"There is no file {file}.", remedy="Check the path.", code=Exit.USAGE)
    kind = path.name.lower().removesuffix(".gz").rpartition(".")[2]
    if kind == "parquet":
        yield from _parquet_rows(path)
        return
    try:
        with _text(path) as stream:
            yield from csv.DictReader(stream) if kind == "csv" else _json_rows(stream, file)
    except (UnicodeDecodeError, gzip.BadGzipFile) as error:
        raise CommandError(f"{file} can't be read: {error}.", remedy="Save it as UTF-8 text.") from error


def _text(path: Path) -> IO[str]:
    if path.suffix.lower() == ".gz":
        return gzip.open(path, "rt", encoding="utf-8", newline="")
    return path.open(encoding="utf-8", newline="")


def _parquet_rows(path: Path) -> Iterator[Mapping[str, Any]]:
    import pyarrow.parquet as parquet

    with parquet.ParquetFile(path) as table:
        for batch in table.iter_batches(AT_ONCE):
            yield from batch.to_pylist()


def _json_rows(stream: IO[str], name: str) -> Iterator[Mapping[str, Any]]:
    """JSON Lines, or one JSON document: a list of rows or ``{"rows": [..]}``."""
    text = stream.read().strip()
    try:
        whole = json.loads(text)
    except ValueError:
        yield from (_json_row(line, name) for line in text.splitlines() if line.strip())
        return
    if isinstance(whole, dict):
        whole = whole.get("rows", [whole])
    yield from whole


def _json_row(text: str, name: str) -> Mapping[str, Any]:
    try:
        row = json.loads(text)
    except ValueError as error:
        raise CommandError(
            f"{name} is not JSON: {error}.", remedy="Write a row like '{\"column\": 1}'."
        ) from error
    if not isinstance(row, dict):
        raise CommandError(
            f"{name} holds {text[:40]!r}, not a row.", remedy="Write a row like '{\"column\": 1}'."
        )
    return row


def _chunks(items: Iterable[Any], at_once: int = AT_ONCE) -> Iterator[list[Any]]:
    """Lists of at most ``at_once`` items, at least one list, so that an empty file is refused by the server."""
    iterator = iter(items)
    first = True
    while (some := list(islice(iterator, at_once))) or first:
        first = False
        yield some
