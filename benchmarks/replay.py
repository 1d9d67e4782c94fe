"""The table of docs/replay.md: a year of flights under each retraining policy.

    python benchmarks/replay.py                       # the whole year, all policies: half an hour and more
    python benchmarks/replay.py --quick               # every 20th flight, fewer policies: a minute or two
    python benchmarks/replay.py --keep-every 4 --compare never,every,always
    python benchmarks/replay.py --learner flaml:8     # a small real search in place of the fixed learner

Weeks as windows, looked at daily; the truth about a flight comes two days after it; the first four weeks warm up.
Prints the table as Markdown and says whether the default policy reaches its aim: at least as good as a run every
week, with at most a third of its search seconds, and better than frozen.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from automl.task import Task, TaskKind
from service.commands.replay import learner_of
from service.demo import flights
from service.policy import Policy
from service.replay.chart import chart
from service.replay.local import play_file
from service.replay.plan import ReplayPlan
from service.replay.telling import HEADINGS, lines

MORE: dict[str, Any] = {
    "not refitted": {"refit": False},
    "eager": {"min_fresh_share": 0.1, "gates": {"floor": {"score": 1.0, "margin": 0.005}}},
}
"""Beside the default: without its refit; and with a floor that no champion reaches, so that "better by the estimate
and surely not worse by more than the margin" is enough."""
SHARE = 1 / 3


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--keep-every", type=int)
    parser.add_argument("--compare")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--learner", default="lightgbm")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--home", type=Path, help="keep the work there, to go on after a kill")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--chart", type=Path)
    asked = parser.parse_args()
    compare = asked.compare or ("never,every,own" if asked.quick else "never,every,always,drift,decay,own")
    keep_every = asked.keep_every or (20 if asked.quick else 1)
    plan = ReplayPlan.model_validate(
        {
            "policies": compare.split(","),
            "more": {} if asked.quick else MORE,
            "window": "P7D",
            "looks": 7,
            "delay": "P2D",
            "warm_up": 4,
            "keep_every": keep_every,
            "learner": learner_of(asked.learner),
            "seed": asked.seed,
        }
    )
    result = _play(plan, asked.home)
    if asked.json:
        asked.json.write_text(json.dumps(result))
    if asked.chart:
        asked.chart.write_text(chart(result))
    print(f"{result['metric']} on {result['compared_rows']:,} flights, every {keep_every}. of the year\n")
    print(_markdown(result))
    for name in ("own", *plan.more):
        print(_aim(result, name))
    return 0


def _play(plan: ReplayPlan, home: Path | None) -> dict[str, Any]:
    task = Task(
        kind=TaskKind.CLASSIFICATION,
        target=flights.TARGET,
        metric="auto",
        time_column=flights.TIME,
        id_column=flights.ID,
    )
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "flights.parquet"
        flights.flights().to_parquet(file, index=False)
        return play_file(
            file,
            task=task,
            plan=plan,
            policy=Policy().model_dump(mode="json"),
            limits={"expanded_bytes": 1024**3, "rows": 10**6, "columns": 100},
            home=home or Path(folder),
            signing_key=bytes(32),
            memory_bytes=4 * 1024**3,
            on_event=_say,
        )


def _say(event: Any) -> None:
    if event["event"] == "progress" and event.get("window", 0) % 10 == 0:
        print(f"{event['done']:.0%} {event['doing']}", file=sys.stderr)


def _markdown(result: dict[str, Any]) -> str:
    rows = [HEADINGS, tuple("---" for _ in HEADINGS), *lines(result)]
    return "\n".join("| " + " | ".join(str(cell) for cell in row) + " |" for row in rows)


def _aim(result: dict[str, Any], name: str) -> str:
    """Whether a policy reaches the aim, and by how much it does or does not."""
    by_name = {policy["name"]: policy for policy in result["policies"]}
    if name not in by_name or not {"every", "never"} <= set(by_name):
        return ""
    mine, weekly = by_name[name], by_name["every"]
    seconds = mine["search_seconds"] / weekly["search_seconds"]
    budget = mine["budget_seconds"] / weekly["budget_seconds"]
    good, frozen = mine["against"]["every"], mine["against"]["never"]
    reached = good["gain"] >= 0 and frozen["gain"] > 0 and max(seconds, budget) <= SHARE
    return (
        f"{name}: {good['gain']:+.4f} (95%: {good['lower']:+.4f} to {good['upper']:+.4f}) against a run every week, "
        f"{frozen['gain']:+.4f} against frozen, {budget:.0%} of its search budget, {seconds:.0%} of its measured seconds: "
        f"{'reached' if reached else 'not reached'}"
    )


if __name__ == "__main__":
    raise SystemExit(main())
