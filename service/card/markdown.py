"""The card as Markdown, with its metadata before it. Names that came from outside can't be more than text in it."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from typing import Any

from service.card.front_matter import front_matter
from service.card.sections import Section, sections

_LONGEST = 400
_MEANT = re.compile(r"([\\`*_{}\[\]()#+\-.!|~>$:@=^])")


def markdown(card: Mapping[str, Any]) -> str:
    """Front matter in YAML, a title, and each section that says something."""
    import yaml  # late: a server that only predicts makes no cards

    head = yaml.safe_dump(front_matter(card), sort_keys=False, allow_unicode=True, width=120)
    title = f"# {text(card['project'])}, version {card['version']}"
    parts = [part for section in sections(card) if (part := "\n\n".join(_section(section)))]
    return f"---\n{head}---\n\n{title}\n\n" + "\n\n".join(parts) + "\n"


def text(value: Any) -> str:
    """As one line of Markdown that shows exactly this text: no markup, no HTML, no line of its own, no character that turns
    the direction of what follows.

    >>> text("<b>*a*|b</b>")
    '&lt;b&gt;\\\\*a\\\\*\\\\|b&lt;/b&gt;'
    """
    line = " ".join(str(value).split())
    shown = "".join(one if unicodedata.category(one) not in ("Cc", "Cf", "Cs", "Co") else "�" for one in line)
    if len(shown) > _LONGEST:
        shown = shown[: _LONGEST - 1] + "…"
    escaped = _MEANT.sub(r"\\\1", shown.replace("&", "&amp;").replace("<", "&lt;").replace(">", "\x00"))
    return escaped.replace("\x00", "&gt;")


def _section(section: Section) -> Iterator[str]:
    if not (section.sentences or section.facts or section.rows):
        return
    yield f"## {section.title}"
    for sentence in section.sentences:
        yield text(sentence)
    if section.facts:
        yield "\n".join(f"- **{text(name)}**: {text(value)}" for name, value in section.facts)
    if section.rows:
        lines = [section.heads, ("---",) * len(section.heads)]
        told = ["| " + " | ".join(cells) + " |" for cells in lines]
        told += ["| " + " | ".join(text(cell) for cell in row) + " |" for row in section.rows]
        yield "\n".join(told)
