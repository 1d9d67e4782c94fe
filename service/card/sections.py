"""What a card says, for a person: titles, sentences and tables. Markdown and the dashboard's page are made from these."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_GIVEN_NAMES = {"classification": "Classification", "regression": "Regression", "forecasting": "Forecasting"}
_TRANSFERS = {"labels": "Labels", "sources": "Who gave the labels"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """``facts`` are names with values, ``rows`` a table under ``heads``. All text is raw: whoever shows it escapes it."""

    title: str
    sentences: tuple[str, ...] = ()
    facts: tuple[tuple[str, str], ...] = ()
    heads: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()


def sections(card: Mapping[str, Any]) -> tuple[Section, ...]:
    """In the order of the model-card convention: what it is, what for, how it was made, how good it is, what it can't."""
    return (
        _details(card),
        _uses(card),
        _data(card),
        _columns(card),
        _evaluation(card),
        _gates(card),
        _live(card),
        _limits(card),
        _lineage(card),
        _environment(card),
    )


def _details(card: Mapping[str, Any]) -> Section:
    model, task = card["model"], card["task"]
    facts = {
        "Task": _GIVEN_NAMES.get(task["kind"], task["kind"]),
        "Predicts": task["target"],
        "Classes": ", ".join(map(str, task["classes"])) if task.get("classes") else None,
        "Version": f"{card['version']}" + (f" ({', '.join(card['aliases'])})" if card["aliases"] else ""),
        "Made": card["created_at"],
        "Model": f"{model['engine']}: {model['estimator']}",
        "Trained again on all rows from": None
        if model["refit_of"] is None
        else f"version {model['refit_of']}",
        "Imported from": None if model["imported"] is None else model["imported"].get("source"),
        "Size": f"{model['size_bytes']:,} bytes",
        "SHA-256": model["sha256"],
    }
    return Section(title="Model details", facts=_said(facts))


def _uses(card: Mapping[str, Any]) -> Section:
    task = card["task"]
    asked = (
        f"It predicts “{task['target']}” for rows like those that came to the project “{card['project']}”."
    )
    return Section(
        title="Intended use",
        sentences=(
            asked,
            "It was trained and judged on this project's rows alone: how it answers to rows from elsewhere is unknown.",
        ),
    )


def _data(card: Mapping[str, Any]) -> Section:
    made = card["training"]
    facts = {
        "Dataset version": made["dataset_version"],
        "Dataset SHA-256 (the chain of all batches)": made["dataset_sha256"],
        "Snapshot SHA-256 (rows and labels in use)": made["snapshot_sha256"],
        "Rows trained on": _count(made["train_rows"]),
        "Rows judged on": _count(made["holdout_rows"]),
        "Trained on rows from": _span(made["train_span"]),
        "Judged on rows from": _span(made["holdout_span"]),
        "Seed": made["seed"],
        "Search budget": None if made["budget_seconds"] is None else f"{made['budget_seconds']:g} s",
        "Started by": made["trigger"],
        "Pseudo-labelled rows": _pseudo(card["model"]["pseudo_labels"]),
        **{title: _counts(made[name]) for name, title in _TRANSFERS.items()},
    }
    return Section(title="Training data", facts=_said(facts))


def _columns(card: Mapping[str, Any]) -> Section:
    rows = tuple((one["name"], one["kind"], one["role"]) for one in card["columns"])
    return Section(title="Columns", heads=("Column", "Kind", "Role"), rows=rows)


def _evaluation(card: Mapping[str, Any]) -> Section:
    found = card["evaluation"]
    name = found["metric"]
    against = (
        "the naive baseline" if found["judged_against"] is None else f"version {found['judged_against']}"
    )
    facts = {
        f"{name}, on rows it was not trained on": _number(found["score"]),
        f"{name}, in the folds of the search": _number(found["cv_score"]),
        f"{name} of the champion of the time": _number(found["champion_score"]),
        f"{name} of the naive baseline": _number(found["baseline_score"]),
        f"Difference to {against}": _difference(found["difference"]),
        "Verdict": found["outcome"],
        "Reason": found["reason"],
        "Trained on all rows": None if found["refit"] is None else found["refit"]["reason"],
    }
    sentences = (
        ()
        if found["refit"] is None
        else ("The score is that of the version it was refitted from: its own rows would flatter it.",)
    )
    return Section(title="Evaluation", sentences=sentences, facts=_said(facts))


def _gates(card: Mapping[str, Any]) -> Section:
    gates = card["evaluation"]["gates"] or ()
    words = {True: "passed", False: "failed", None: "not decided"}
    rows = tuple((gate["name"], words[gate["passed"]], gate["reason"]) for gate in gates)
    return Section(title="Gates", heads=("Gate", "", "Reason"), rows=rows)


def _live(card: Mapping[str, Any]) -> Section:
    live, drift = card["live"], card["drift"]
    facts = {
        "Answers with truth": _count(live["rows"]),
        f"{card['evaluation']['metric']}, live": _number(live["score"]),
        "Drifted columns": None if drift is None else ", ".join(drift["drifted"]) or "none",
    }
    return Section(title="In production", facts=_said(facts))


def _limits(card: Mapping[str, Any]) -> Section:
    return Section(title="Limits", sentences=tuple(limits(card)))


def limits(card: Mapping[str, Any]) -> Iterator[str]:
    """What a reader has to know before relying on the model, each from what is recorded."""
    model, found, made, task = card["model"], card["evaluation"], card["training"], card["task"]
    rows = found["rows"] or made["holdout_rows"]
    if model["imported"] is not None:
        yield "It was not trained here: nothing is known of its training data but what its file says."
    if rows:
        yield f"It was judged on {rows:,} rows: differences smaller than these rows can show are unknown."
    else:
        yield "It has not been judged on any rows."
    if model["partial"]:
        yield "It was trained on the rows of one fold only: training on all did not end in time."
    leaks = made["suspected_leaks"] or ()
    if leaks:
        names = ", ".join(str(one["column"]) for one in leaks)
        yield f"These columns alone nearly say the label, as something that is only known afterwards would: {names}."
    if task.get("sensitive"):
        yield f"Kept for auditing and not learnt from: {', '.join(task['sensitive'])}."
    else:
        yield "No column is declared sensitive, so differences between groups of people were not looked at."
    if model["pseudo_labels"] is not None:
        yield "Some of its training labels are a former model's word, not truth."
    failed = [gate["name"] for gate in found["gates"] or () if gate["passed"] is False]
    if failed:
        yield f"These gates failed: {', '.join(failed)}."


def _lineage(card: Mapping[str, Any]) -> Section:
    line = card["lineage"]
    facts = {
        "Run": card["training"]["run"],
        "Judged against": line["judged_against"],
        "Refitted from": line["refit_of"],
        "Refitted as": _versions(line["refitted_as"]),
        "Taught by": line["taught_by"],
        "Challenged by": _versions(line["challenged_by"]),
    }
    rows = tuple(
        (one["at"], one["kind"], f"{one['from'] or '–'} → {one['to']}", one["actor"], one["reason"])
        for one in card["promotions"]
    )
    heads = ("At", "Change", "Versions", "By", "Reason")
    return Section(title="Lineage", facts=_said(facts), heads=heads if rows else (), rows=rows)


def _environment(card: Mapping[str, Any]) -> Section:
    made = card["environment"]
    if made is None:
        return Section(
            title="Made with",
            sentences=("Only what is needed to read the model again was recorded.",),
            facts=_said(card["requirements"]),
        )
    facts = {"python": made["python"], "platform": made["platform"], **made["libraries"]}
    return Section(title="Made with", facts=_said(facts))


def _said(facts: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    return tuple((name, str(value)) for name, value in facts.items() if value not in (None, ""))


def _versions(versions: Sequence[int]) -> str | None:
    return ", ".join(map(str, sorted(versions))) or None


def _count(value: int | None) -> str | None:
    return None if value is None else f"{value:,}"


def _number(value: float | None) -> str | None:
    return None if value is None else f"{value:.6g}"


def _span(span: Sequence[str] | None) -> str | None:
    return None if span is None else f"{span[0]} to {span[1]}"


def _counts(counts: Mapping[str, int] | None) -> str | None:
    return None if not counts else ", ".join(f"{name}: {count:,}" for name, count in counts.items())


def _pseudo(given: Mapping[str, Any] | None) -> str | None:
    return None if given is None else _count(int(given["rows"]))


def _difference(found: Mapping[str, Any] | None) -> str | None:
    if found is None:
        return None
    return f"{found['estimate']:+.6g} ({found['lower']:+.6g} to {found['upper']:+.6g})"
