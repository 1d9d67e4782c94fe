"""One turn of the loop: snapshot → search → judge → promote."""

from __future__ import annotations

from service.bench import Bench
from service.conclusion import Conclusion, Interruption


def turn(bench: Bench) -> Conclusion:
    """What becomes of a run. Everything that can go wrong on the way is a conclusion with its reason."""
    try:
        bench.take_snapshot()
        found = bench.search()
        if found.best is None:
            return bench.failed(found.reason)
        judgement = bench.judge(found.best, bench.search_with_pseudo_labels())
        refit = bench.refit(judgement) if judgement.passes else None
        if judgement.promotes:
            return bench.promoted(judgement, refit)
        return bench.kept(judgement, refit)
    except Interruption as interruption:
        return bench.ended_early(interruption)
