"""How soon a search that knows the past is where one that doesn't ends: the same snapshot, folds, seed and budget.

    pip install -e '.[bench]'
    python benchmarks/warm_start.py [--quick] [--only STREAM ...] [--snapshots N] [--budget SECONDS] [--work FOLDER]

Each stream's first snapshot is searched cold. Each later one is searched cold, and warm, with what the warm
searches before it found, as a project's runs follow one another, and once more with that and a third of the budget. The
first table says what each had after a third of the cold one's seconds, when the warm one first had the cold one's final
score, and which share of the cold one's seconds that is; the second how good what they ended with is on the rows that
came next, which chose nothing. Results are kept in the work folder, so a long comparison goes on where it was; not
those of another commit, or of other starts. A tree with changes counts as one, whatever they are: give it a work
folder of its own.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import multiprocessing
import os
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.markdown import print_table
from benchmarks.warming.searching import search
from benchmarks.warming.streams import STREAMS
from service.run_spec import past_starts

_STALL_SECONDS = 3.0
"""A search during which the machine stood still for so long says nothing: it is done again."""
_LOWER_IS_BETTER = ("rmse", "mae", "log_loss")


def apart(*arguments: Any) -> dict[str, Any]:
    """In a fresh process, with its imports and one thread for each trial, as a run's is."""
    while True:
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as one:
            found: dict[str, Any] = one.submit(search, *arguments).result()
        if found["stalled"] < _STALL_SECONDS:
            return found
        print(
            f"the machine stood still for {found['stalled']:.1f} s: done again", file=sys.stderr, flush=True
        )


def line(stream: str, cold: dict[str, Any], warm: dict[str, Any], short: dict[str, Any]) -> dict[str, Any]:
    sign = -1.0 if STREAMS[stream].metric in _LOWER_IS_BETTER else 1.0
    wanted = sign * cold["score"] - 1e-6 * abs(cold["score"])
    third = cold["seconds"] / 3
    reached = next((one[0] for one in warm["progress"] if sign * one[1] >= wanted), None)
    return {
        "cold": cold["score"],
        "warm": warm["score"],
        "cold_at_a_third": _score_at(cold["progress"], third, sign),
        "warm_at_a_third": _score_at(warm["progress"], third, sign),
        "cold_seconds": cold["seconds"],
        "reached": reached,
        "share": None if reached is None else reached / cold["seconds"],
        "trials": f"{cold['trials']}/{warm['trials']}",
        "short": short["score"],
        "unseen": {"cold": cold["unseen"], "warm": warm["unseen"], "short": short["unseen"]},
        "short_is_better": sign * short["unseen"] > sign * cold["unseen"],
        "warm_is_better": sign * warm["unseen"] > sign * cold["unseen"],
    }


def _score_at(progress: list[list[Any]], seconds: float, sign: float) -> float | None:
    """The best score by then; a ``sign`` of -1 says that lower is better."""
    return max(
        (one[1] for one in progress if one[0] <= seconds), key=lambda score: sign * score, default=None
    )


def commit() -> str:
    """The code that is measured; ``-dirty`` where it is changed."""
    asked = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty"]
    return subprocess.run(asked, check=True, capture_output=True, text=True).stdout.strip()


def key(
    asked: argparse.Namespace,
    code: str,
    name: str,
    at: int,
    starts: list[dict[str, Any]] | None,
    part: float = 1.0,
) -> str:
    """What a search's result is kept under; ``starts``: of a warm one, None for a cold one; ``part`` of the budget."""
    way = "cold"
    if starts is not None:
        told = json.dumps(starts, sort_keys=True, default=str)
        way = f"warm-{hashlib.sha256(told.encode()).hexdigest()[:12]}"
    return f"{name}/{at}/{way}/{part * asked.budget:g}/{asked.seed}/{code}"


def compare(asked: argparse.Namespace, name: str, kept: dict[str, Any], file: Path) -> list[dict[str, Any]]:
    stream, lines, past, code = STREAMS[name], [], list[list[dict[str, Any]]](), commit()
    for at in range(min(len(stream.shares), asked.snapshots + 1)):
        found: list[dict[str, Any]] = []
        starts = past_starts(past)
        ways = ((None, 1.0), (starts, 1.0), (starts, 1 / 3)) if at else ((None, 1.0),)
        for begin, part in ways:
            under = key(asked, code, name, at, begin, part)
            if under not in kept:
                kept[under] = apart(name, at, asked.budget * part, asked.seed, begin or [])
                file.write_text(json.dumps(kept))
            found.append(kept[under])
        if at:
            lines.append({"snapshot": f"{name} {at}", **line(name, *found)})
            print(json.dumps(lines[-1]), file=sys.stderr, flush=True)
        past.insert(0, found[min(at, 1)]["winner"])
    return lines


def show(lines: list[dict[str, Any]]) -> None:
    head = (
        "snapshot",
        "cold, at a third",
        "warm, at a third",
        "cold, at its end",
        "seconds",
        "warm had that after",
        "share",
    )
    print_table(head, [_score_cells(one) for one in lines])
    if not lines:
        return
    middle = median(float("inf") if one["share"] is None else one["share"] for one in lines)
    print(
        f"\nmedian share over {len(lines)} snapshots: {'never' if middle == float('inf') else f'{middle:.0%}'}"
    )
    print(f"reached within a third: {sum((one['share'] or 9) <= 1 / 3 for one in lines)} of {len(lines)}\n")
    head = ("snapshot", "next rows: cold", "warm, a third of the budget", "warm")
    ways = ("cold", "short", "warm")
    print_table(head, [[one["snapshot"], *(f"{one['unseen'][way]:.5g}" for way in ways)] for one in lines])
    for way, name in (("short", "with a third of the budget"), ("warm", "with all of it")):
        better = sum(one[f"{way}_is_better"] for one in lines)
        print(f"\nwarm {name} better than cold on the next rows: {better} of {len(lines)}", end="")
    print()


def _score_cells(one: dict[str, Any]) -> list[str]:
    scores = (one["cold_at_a_third"], one["warm_at_a_third"], one["cold"])
    return [
        one["snapshot"],
        *("–" if score is None else f"{score:.5g}" for score in scores),
        f"{one['cold_seconds']:.1f}",
        "never" if one["reached"] is None else f"{one['reached']:.1f} s",
        "–" if one["share"] is None else f"{one['share']:.0%}",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="one snapshot of one stream")
    parser.add_argument("--only", nargs="+", choices=sorted(STREAMS), default=list(STREAMS))
    parser.add_argument("--snapshots", type=int, default=9, help="later snapshots of each stream at most")
    parser.add_argument("--budget", type=float, default=20.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--work", type=Path, default=Path.home() / ".cache" / "incumbent-warm-start")
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    if asked.quick:
        asked.only, asked.snapshots, asked.budget = ["hotels"], 1, 10.0
    os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
    asked.work.mkdir(parents=True, exist_ok=True)
    file = asked.work / "results.json"
    kept = json.loads(file.read_text()) if file.exists() else {}
    lines = [one for name in asked.only for one in compare(asked, name, kept, file)]
    show(lines)
    if asked.json:
        asked.json.write_text(json.dumps(lines, indent=1))


if __name__ == "__main__":
    main()
