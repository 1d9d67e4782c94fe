"""Answers of the champion as the cells of a table, and as a file."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from service.commands.console import CommandError

REASONS = 3
"""Columns named for each row: those that moved its score most."""
BECAUSE, OTHERWISE = "because", "otherwise"
"""Columns that say why, and what would have had to be otherwise."""


def write(path: Path, answers: Sequence[Mapping[str, Any]]) -> None:
    """One line an answer; in CSV each class has a column of its own, and a feature's contribution too."""
    try:
        with path.open("w", encoding="utf-8", newline="") as file:
            if path.suffix.lower() != ".csv":
                file.writelines(json.dumps(one, ensure_ascii=False) + "\n" for one in answers)
                return
            flat = [_flat(one) for one in answers]
            names = dict.fromkeys(name for one in flat for name in one)
            table = csv.DictWriter(file, list(names))
            table.writeheader()
            table.writerows(flat)
    except OSError as error:
        raise CommandError(f"{path} can't be written: {error}.", remedy="Check the path.") from error


def cell(answer: Mapping[str, Any], column: str) -> Any:
    """What stands in a column of the table; None where the answer lacks it."""
    if column == BECAUSE:
        parts = answer["explanation"]["contributions"][:REASONS]
        return "\n".join(f"{part['contribution']:+.3f}  {part['column']} = {part['value']}" for part in parts)
    if column == OTHERWISE:
        return _otherwise(answer["explanation"]["counterfactual"])
    return answer.get(column)


def _flat(answer: Mapping[str, Any]) -> dict[str, Any]:
    chances = {f"probability_{name}": share for name, share in (answer.get("probabilities") or {}).items()}
    explanation = answer.get("explanation") or {}
    because = {
        f"contribution_{part['column']}": part["contribution"]
        for part in explanation.get("contributions", ())
    }
    otherwise = {OTHERWISE: cell(answer, OTHERWISE)} if "counterfactual" in explanation else {}
    return {"id": answer["id"], "value": answer["value"], **chances, **because, **otherwise}


def _otherwise(found: Mapping[str, Any] | None) -> str:
    if found is None:
        return "nothing near"
    changes = ", ".join(
        f"{one['column']} {_said(one['from'])} -> {_said(one['to'])}" for one in found["changes"]
    )
    return f"{found['class']} with {changes}"


def _said(value: Any) -> str:
    if value is None:
        return "nothing"
    return f"{value:g}" if isinstance(value, float) else str(value)
