"""The table of kinds in docs/alerts.md, from the kinds themselves."""

from __future__ import annotations

import json

from service.alerts.kinds import KINDS

BEGIN, END = "<!-- kinds: made by python -m service.reference -->\n", "<!-- end of kinds -->\n"


def table() -> str:
    """Every kind, what it means, and the data of an example."""
    lines = ["| kind | usual | told when | type and data, an example |", "|---|---|---|---|"]
    for kind in KINDS:
        example = json.dumps(dict(kind.example), ensure_ascii=False).replace("|", "\\|")
        usual = "yes" if kind.usual else ""
        lines.append(f"| `{kind.name}` | {usual} | {kind.means} | `{kind.type}` `{example}` |")
    return "\n".join(lines) + "\n"


def rewritten(page: str) -> str:
    """The page with a fresh table between its two marks."""
    before, rest = page.split(BEGIN)
    return before + BEGIN + "\n" + table() + "\n" + END + rest.split(END)[1]
