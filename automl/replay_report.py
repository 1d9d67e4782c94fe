"""What a replay came to: live quality by window, promotions with hindsight, and what each policy spent."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from automl.metrics import metric
from automl.play_state import Play, RunNote
from automl.replay import FIRST
from automl.replay_roles import Answers, Player, Stage
from automl.resampling import group_codes, paired_difference

WATTS_A_CORE = 10.0
"""A busy core of a server, roughly. There is no meter here: joules are processor seconds times this."""
_RESAMPLES = 400
_ALPHA = 0.05
_Z = 1.959964


def report(
    stage: Stage,
    plays: Mapping[str, tuple[Player, Play, Answers]],
    *,
    later_windows: int,
    baselines: Sequence[str] = (),
) -> dict[str, Any]:
    """The whole of a finished replay, as JSON.

    Policies are compared on the rows that each of them answered. Each promotion gets an oracle: both models on
    the rows of the ``later_windows`` windows after it, which no policy has seen at that time. ``baselines`` are
    those that the others' window scores are compared with, in pairs.
    """
    common = np.logical_and.reduce([answers.version > 0 for _, _, answers in plays.values()])
    bounds = _bounds(stage)
    scores = {
        name: [_score(stage, answers, _rows(common, start, end)) for start, end in bounds]
        for name, (_, _, answers) in plays.items()
    }
    policies = [
        {
            "name": name,
            "score": _score(stage, answers, np.flatnonzero(common)),
            "window_scores": scores[name],
            "mean_window_score": _mean(scores[name]),
            "against": {
                other: _paired(stage, scores[name], scores[other])
                for other in baselines
                if other in scores and other != name
            },
            **_cost(state),
            **_story(stage, player, state, later_windows),
        }
        for name, (player, state, answers) in plays.items()
    ]
    return {
        "metric": stage.task.metric,
        "greater_is_better": metric(stage.task.metric).greater_is_better,
        "rows": len(stage.times),
        "compared_rows": int(common.sum()),
        "windows": [
            {
                "number": number,
                "until": stage.looks[_last_look(stage, number)].at,
                "until_row": end,
                "rows": int(common[start:end].sum()),
            }
            for number, (start, end) in enumerate(bounds)
        ],
        "policies": policies,
        "watts_a_core": WATTS_A_CORE,
    }


def _last_look(stage: Stage, window: int) -> int:
    pace = len(stage.looks) // (stage.looks[-1].window + 1)
    return (window + 1) * pace - 1


def _bounds(stage: Stage) -> list[tuple[int, int]]:
    if not stage.looks:
        return []
    ends = [stage.looks[_last_look(stage, number)].arrived for number in range(stage.looks[-1].window + 1)]
    return list(zip([0, *ends[:-1]], ends, strict=True))


def _rows(common: npt.NDArray[np.bool_], start: int, end: int) -> npt.NDArray[np.intp]:
    return start + np.flatnonzero(common[start:end])


def _score(stage: Stage, answers: Answers, rows: npt.NDArray[np.intp]) -> float | None:
    if not len(rows):
        return None
    score = metric(stage.task.metric).score(stage.hands.truth(rows), np.asarray(answers.predicted[rows]))
    return float(score) if math.isfinite(score) else None


def _mean(scores: Sequence[float | None]) -> float | None:
    known = [score for score in scores if score is not None]
    return float(np.mean(known)) if known else None


def _paired(stage: Stage, ours: Sequence[float | None], theirs: Sequence[float | None]) -> dict[str, Any]:
    """The mean gain over the windows (better is positive), with its 95% bounds and the windows won."""
    gain = metric(stage.task.metric).gain
    gains = [gain(a, b) for a, b in zip(ours, theirs, strict=True) if a is not None and b is not None]
    if not gains:
        return {"windows": 0, "gain": None, "lower": None, "upper": None, "won": 0, "lost": 0}
    middle = float(np.mean(gains))
    reach = _Z * float(np.std(gains, ddof=1)) / math.sqrt(len(gains)) if len(gains) > 1 else None
    return {
        "windows": len(gains),
        "gain": middle,
        "lower": None if reach is None else middle - reach,
        "upper": None if reach is None else middle + reach,
        "won": sum(each > 0 for each in gains),
        "lost": sum(each < 0 for each in gains),
    }


def _cost(state: Play) -> dict[str, Any]:
    seconds = sum(run.seconds for run in state.runs)
    return {
        "runs": len(state.runs),
        "search_seconds": round(seconds, 3),
        "budget_seconds": sum(run.budget_seconds for run in state.runs),
        "estimated_energy_joules": round(WATTS_A_CORE * seconds, 1),
    }


def _story(stage: Stage, player: Player, state: Play, later_windows: int) -> dict[str, Any]:
    promotions = [_hindsight(stage, run, later_windows) for run in state.promotions]
    later = [entry["later"] for entry in promotions if entry["later"] is not None]
    return {
        "judged": player.judged,
        "promotions": promotions,
        "false_promotions": sum(bool(entry["worse"]) for entry in later),
        "surely_false_promotions": sum(bool(entry["surely_worse"]) for entry in later),
        "promotions_with_hindsight": len(later),
        "run_notes": [_told(run) for run in state.runs],
        "refusals": dict(state.refusals),
    }


def _told(run: RunNote) -> dict[str, Any]:
    names = ("at", "window", "trigger", "reason", "outcome", "why", "train_rows", "holdout_rows")
    more = ("seconds", "budget_seconds", "gain", "gain_at_least", "version")
    return {name: getattr(run, name) for name in (*names, *more)}


def _hindsight(stage: Stage, run: RunNote, later_windows: int) -> dict[str, Any]:
    """A promotion, and how the two models really did on the rows that came after it."""
    return {
        "at": run.at,
        "window": run.window,
        "version": run.version,
        "trigger": run.trigger,
        "reason": run.why,
        "gain": run.gain,
        "later": None if run.trigger == FIRST else _later(stage, run, later_windows),
    }


def _later(stage: Stage, run: RunNote, later_windows: int) -> dict[str, Any] | None:
    last = min(run.window + later_windows, stage.looks[-1].window)
    rows = np.arange(run.row, stage.looks[_last_look(stage, last)].arrived)
    if not len(rows) or run.model is None or run.replaced is None:
        return None
    measure, truth = metric(stage.task.metric), stage.hands.truth(rows)
    entities = stage.hands.groups(rows)
    found = paired_difference(
        measure.tally(truth, stage.hands.answer(run.model, rows)),
        measure.tally(truth, stage.hands.answer(run.replaced, rows)),
        rows=len(rows),
        sign=1.0 if measure.greater_is_better else -1.0,
        alpha=_ALPHA,
        resamples=_RESAMPLES,
        seed=stage.seed,
        codes=None if entities is None else group_codes(entities),
    )
    if found is None:
        return None
    return {
        "rows": len(rows),
        "gain": found.estimate,
        "lower": found.lower,
        "upper": found.upper,
        "worse": found.estimate < 0,
        "surely_worse": found.upper < 0,
    }
