"""How near is serving to the limit, and how far from its peers?

    python -m benchmarks.serving [--only compare|bulk|search|swap|memory] [--peers mlflow,bentoml,mlserver]
                                 [--case one|many|wide] [--seconds 4] [--rounds 5] [--requests N] [--work FOLDER]
                                 [--json] [--quick]

Compare: an echo as the limit, `incumbent serve`, a naive FastAPI service, MLflow, BentoML and MLServer, all with the same
model, rows and client, in turn, round after round. Bulk: Arrow tables. Search and swap: the tail while a search runs, and
while champions change. Memory: three projects loaded, and the start. Peers are installed by pip into environments of
their own below the work folder on the first run (2 GB, some minutes). --quick takes a minute or two, with such peers as are
installed; the whole takes about a quarter of an hour. Nothing leaves 127.0.0.1.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

if not __package__:  # started by its path: the packages are beside `benchmarks`, not beside this file
    sys.path[0] = str(Path(__file__).resolve().parents[2])

from benchmarks.serving import bulk, disturbance, footprint, house
from benchmarks.serving.comparison import CASES, Field
from benchmarks.serving.contestants import CONTESTANTS, PEERS_TO_BEAT, Contestant
from benchmarks.serving.environments import ENVIRONMENTS
from benchmarks.serving.report import machine, report

PARTS = ("compare", "bulk", "memory", "swap", "search")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--only", choices=PARTS, action="append", help="this part; may be given more than once"
    )
    parser.add_argument(
        "--case",
        choices=[case.name for case in CASES],
        action="append",
        help="of the comparison; may be given more than once",
    )
    parser.add_argument("--peers", help=f"comma-separated, of {', '.join(PEERS_TO_BEAT)}; 'none' for none")
    parser.add_argument("--seconds", type=float, help="of each measurement")
    parser.add_argument("--rounds", type=int, help="of each measurement")
    parser.add_argument("--requests", type=int, help="during swaps, in all")
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / "incumbent-serving")
    parser.add_argument("--json", action="store_true", help="everything that was measured, as JSON")
    parser.add_argument("--quick", action="store_true")
    given = parser.parse_args()
    given.seconds = given.seconds or (1.0 if given.quick else 4.0)
    given.rounds = given.rounds or (1 if given.quick else 5)
    given.work = given.work.resolve()
    return given


def contestants(given: argparse.Namespace) -> tuple[list[Contestant], dict[str, str]]:
    """Who takes part, its environment made where need be; and who does not, with the reason."""
    named = PEERS_TO_BEAT if given.peers is None else tuple(filter(None, given.peers.split(",")))
    taking, absent = [], {}
    for one in CONTESTANTS:
        if one.environment is None:
            taking.append(one)
        elif one.name in named:
            reason = _unready(one.environment, given)
            if reason is None:
                taking.append(one)
            else:
                absent[one.name] = reason
    return taking, absent


def _unready(name: str, given: argparse.Namespace) -> str | None:
    environment = ENVIRONMENTS[name]
    if given.quick and not environment.installed(given.work):
        return "not installed (a run without --quick does that)"
    try:
        environment.install(given.work)
    except (subprocess.CalledProcessError, OSError) as error:
        return f"its environment could not be made: {error}"
    return None


def compare(given: argparse.Namespace, found: dict[str, Any]) -> Any:
    taking, absent = contestants(given)
    reference = given.work / "servers" / "reference"
    shutil.rmtree(reference, ignore_errors=True)
    made = house.House(reference)
    pipeline = made.fit()
    field = Field(taking, given.work, lambda rows: made.answers(pipeline, list(rows)))
    cases = [case for case in CASES if given.case is None or case.name in given.case]
    try:
        figures = field.measure(cases, rounds=given.rounds, seconds=given.seconds)
    finally:
        field.stop()
        made.close()
    found["absent"] = {**absent, **field.absent}
    found["environments"] = {
        one.name: ENVIRONMENTS[one.environment].versions(given.work)
        for one in taking
        if one.environment is not None and one.name in field.running
    }
    return figures


def measures(given: argparse.Namespace, found: dict[str, Any]) -> dict[str, Callable[[], Any]]:
    folder, seconds = given.work / "servers", given.seconds
    rounds = min(given.rounds, 3)
    return {
        "compare": lambda: compare(given, found),
        "bulk": lambda: bulk.measure(
            folder / "bulk", seconds=seconds * 2, most_rows=200_000 if given.quick else bulk.SIZES[0]
        ),
        "memory": lambda: footprint.measure(folder / "memory", starts=rounds),
        "swap": lambda: disturbance.during_swaps(
            folder / "swap", seconds=seconds, rounds=given.rounds, requests=given.requests
        ),
        "search": lambda: disturbance.during_search(folder / "search", seconds=seconds, rounds=given.rounds),
    }


def main() -> int:
    given = arguments()
    given.work.mkdir(parents=True, exist_ok=True)
    found: dict[str, Any] = {"machine": machine(), "failed": {}}
    for name, measure in measures(given, found).items():
        if given.only and name not in given.only:
            continue
        print(f"== {name}", file=sys.stderr, flush=True)
        try:
            found[name] = measure()
        except Exception as error:  # what one part lacks must not cost the others
            found["failed"][name] = f"{type(error).__name__}: {error}"
            print(found["failed"][name], file=sys.stderr, flush=True)
    print(json.dumps(found, indent=1) if given.json else report(found))
    return 1 if found["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
