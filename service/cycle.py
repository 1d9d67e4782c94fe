"""One turn of the loop: snapshot → search → judge → promote."""

from __future__ import annotations

from automl.search import search
from service.bench import Bench
from service.conclusion import Conclusion, Interruption


def turn(bench: Bench) -> Conclusion:
    """What becomes of a run. Everything that can go wrong on the way is a conclusion with its reason."""
    try:
        bench.take_snapshot()
        found = search(bench.task, bench.plan, bench.run_engine)
        challenger = found.best
        if challenger is None:
            return bench.failed(found.reason)
        verdict = bench.judge(challenger)
        if verdict.promotes:
            return bench.promoted(challenger, verdict)
        return bench.kept(challenger, verdict)
    except Interruption as interruption:
        return bench.ended_early(interruption)
