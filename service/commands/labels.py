"""``incumbent label`` and ``labels``: a person labels rows at the terminal; where labels come from."""

from __future__ import annotations

import getpass
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from service.commands.console import CommandError, Exit, cell_text, out, show, show_json, show_table
from service.commands.options import AsJson, Key, ProjectName, Url, connect, given

if TYPE_CHECKING:
    from service.client import Incumbent

SKIP, QUIT = "s", "q"
_COUNTED = ("labelled", "skipped", "unchanged")
_LISTED = ("waiting", "disputed", "unknown", "conflicting")


def label(
    project: ProjectName,
    annotator: Annotated[str | None, typer.Option(help="Who labels; else your user name.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="Rows to ask about.")] = 20,
    answer: Annotated[
        list[str] | None,
        typer.Option(help="Answer one row without being asked; may be repeated.", metavar="ID=LABEL"),
    ] = None,
    skip: Annotated[
        list[str] | None, typer.Option(help="Skip one row; may be repeated.", metavar="ID")
    ] = None,
    url: Url = None,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Label the rows most worth it, one after the other; with --json print them instead, with --answer send labels."""
    who = annotator or _user()
    with connect(url, key) as server:
        if answer or skip:
            said = {**_answers(answer or []), **dict.fromkeys(skip or [])}
            show(server.answer_rows(project, said, annotator=who), as_json)
            return
        queue = server.labelling_queue(project, annotator=who, limit=limit)
        if as_json:
            show_json(queue)
        elif not queue["rows"]:
            out().print(f"Nothing to label: {queue['reason']}.", markup=False)
        else:
            _ask(server, project, who, queue)


def labels(
    project: ProjectName,
    revoke_origin: Annotated[
        str | None, typer.Option(help="Let the labels of an origin count no longer: human:anna.")
    ] = None,
    revoke_source: Annotated[
        str | None, typer.Option(help="The same of a source: given, feedback, human.")
    ] = None,
    since: Annotated[str | None, typer.Option(help="Only those since this time (ISO 8601).")] = None,
    reason: Annotated[str | None, typer.Option(help="Why; kept in the ledger.")] = None,
    url: Url = None,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """List where the labels come from and which source went bad; or take labels back."""
    with connect(url, key) as server:
        if revoke_origin or revoke_source:
            if reason is None:
                raise CommandError("Revoking needs a reason.", remedy="Give --reason.", code=Exit.USAGE)
            criteria = given(origin=revoke_origin, source=revoke_source, since=since)
            show(server.revoke_labels(project, reason=reason, **criteria), as_json)
            return
        found = server.label_sources(project)
    if as_json:
        show_json(found)
        return
    bad = set((found.get("audit") or {}).get("bad") or ())
    lines = [
        (
            one["name"],
            one["labels"],
            one["holding"],
            one["revoked"],
            one["weight"],
            one["cap"],
            one["name"] in bad,
        )
        for one in found["sources"]
    ]
    names = ("source", "labels", "holding", "revoked", "weight", "cap", "went bad")
    show_table(names, lines, empty="No label yet.")


def _ask(server: Incumbent, project: str, who: str, queue: Mapping[str, Any]) -> None:
    """Asks row by row; each answer is sent at once, so that nothing is lost however it ends."""
    classes = [cell_text(label) if isinstance(label, bool) else str(label) for label in queue["classes"]]
    meant = dict(zip(classes, queue["classes"], strict=True))
    told: Counter[str] = Counter()
    for number, row in enumerate(queue["rows"], 1):
        _show(row, number, len(queue["rows"]))
        said = _said(classes, row.get("guess"))
        if said == QUIT:
            break
        answer = None if said == SKIP else meant.get(said, said)
        done = server.answer_rows(project, {row["id"]: answer}, annotator=who)
        told.update({word: done[word] for word in _COUNTED})
        told.update({word: len(done[word]) for word in _LISTED})
    out().print(", ".join(f"{count} {word}" for word, count in told.items() if count) or "nothing labelled")


def _show(row: Mapping[str, Any], number: int, of: int) -> None:
    from rich.panel import Panel
    from rich.table import Table
    from rich.text import Text

    grid = Table.grid(padding=(0, 2))
    for name, value in row["row"].items():
        grid.add_row(Text(name, style="dim"), Text(cell_text(value)))
    guess = "" if row.get("guess") is None else f", the model says {row['guess']}"
    out().print(Panel(grid, title=Text(f"{number} of {of} ({row['why']}{guess})"), title_align="left"))


def _said(classes: Sequence[str], guess: str | None) -> str:
    """A class by its name or number, a number where there are none, or one of the two letters."""
    choices = ", ".join(f"{number} {name}" for number, name in enumerate(classes, 1)) or "a number"
    keys = {str(number): name for number, name in enumerate(classes, 1) if str(number) not in classes}
    while True:
        try:
            said = str(typer.prompt(f"{choices}, {SKIP} skip, {QUIT} quit")).strip()
        except typer.Abort:
            return QUIT
        said = keys.get(said, said)
        if said in classes or said in (SKIP, QUIT) or (not classes and _is_number(said)):
            return said
        out().print(f"{said!r} is none of these.", markup=False)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _answers(texts: Sequence[str]) -> dict[str, str]:
    pairs = [text.rpartition("=") for text in texts]
    if not all(name and mark for name, mark, _ in pairs):
        raise CommandError("An answer is written ID=LABEL.", remedy="Say --answer 17=yes.", code=Exit.USAGE)
    return {name: value for name, _, value in pairs}


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # an account without a name, as in some containers
        return "anonymous"
