"""One turn of the loop: snapshot → search → judge → promote."""

from __future__ import annotations

from automl.search import Plan, search
from service.bench import Bench, Conclusion, Interruption


def turn(bench: Bench) -> Conclusion:
    """What becomes of a run. Everything that can go wrong on the way is a conclusion with its reason."""
    try:
        snapshot = bench.take_snapshot()
        plan = Plan(budget_seconds=bench.budget_seconds, shares=bench.shares)
        challenger = (found := search(snapshot, plan, bench.run_engine)).best
        if challenger is None:
            return bench.failed(found.reason)
        verdict = bench.judge(challenger)
        if verdict.promotes:
            return bench.promoted(challenger, verdict)
        return bench.kept(challenger, verdict)
    except Interruption as interruption:
        return bench.ended_early(interruption)
