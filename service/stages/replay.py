"""A whole policy replay, in a process of its own: low priority, kept after each window, gone on with when killed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from automl.metrics import metric
from automl.play_state import Play
from automl.replay import play
from automl.replay_report import report
from automl.replay_roles import Answers, Player, Stage
from automl.timeline import timeline
from service.desk import Desk
from service.policy import Policy
from service.replay.plan import ReplayPlan
from service.replay.players import WORDS, players
from service.replay.telling import told
from service.stages.replay_hands import Workbench
from service.stages.replay_stream import stream_of

BASELINES = ("never", "every", "always")


def run(desk: Desk, detail: str) -> None:
    """Play every policy of ``spec.json``'s plan over its stream; leaves ``replay.json``.

    What a killed one left (``play-N.json``, answers, models) is taken up where it stands.
    """
    plan = ReplayPlan.model_validate(desk.spec["plan"])
    desk.ready()
    desk.tell("progress", done=0.0, doing="reading the stream")
    stream = stream_of(desk, plan)
    hands = Workbench(desk, stream, plan)
    stage = Stage(
        task=stream.task,
        times=stream.times,
        looks=timeline(stream.times, window=stream.window, looks=plan.looks, delay=stream.delay),
        warm_up=plan.warm_up,
        seed=plan.seed,
        hands=hands,
    )
    _refuse_too_short(stage)
    chosen = players(plan, Policy.stored(desk.spec["policy"]), stream.task)
    plays = {
        player.name: (player, *_played(desk, stage, player, number, len(chosen)))
        for number, player in enumerate(chosen)
    }
    desk.tell("progress", done=0.99, doing="looking back")
    found = report(stage, plays, later_windows=plan.later_windows, baselines=BASELINES)
    _write(desk.folder / "replay.json", told(found, plan, stream.facts, WORDS))
    desk.tell("done")


def _refuse_too_short(stage: Stage) -> None:
    windows = stage.looks[-1].window + 1 if stage.looks else 0
    if windows <= stage.warm_up:
        raise ValueError(
            f"the stream is {windows} window(s) long, and the first {stage.warm_up} only warm up: "
            "use a shorter window or a shorter warm-up"
        )


def _played(desk: Desk, stage: Stage, player: Player, number: int, players: int) -> tuple[Play, Answers]:
    path = desk.folder / f"play-{number}.json"
    state = Play.from_json(json.loads(path.read_text())) if path.exists() else Play()
    answers = _answers(desk.folder, stage, number)
    windows = stage.looks[-1].window + 1

    def keep(now: Play) -> None:
        for values in (answers.predicted, answers.version):
            if isinstance(values, np.memmap):
                values.flush()
        _write(path, now.to_json())
        done = (number + now.look / len(stage.looks)) / players
        desk.tell(
            "progress",
            done=round(0.99 * done, 4),
            doing=player.name,
            window=(now.look - 1) // (len(stage.looks) // windows) + 1,
            windows=windows,
            runs=len(now.runs),
            promotions=len(now.promotions),
        )

    return play(stage, player, answers, state, keep), answers


def _answers(folder: Path, stage: Stage, number: int) -> Answers:
    """On disk; rows beyond the kept state are written again when it is taken up."""
    rows = len(stage.times)
    wide = metric(stage.task.metric).needs == "probabilities"
    shape = (rows, len(stage.task.classes)) if wide else (rows,)
    return Answers(
        predicted=_mapped(folder / f"answers-{number}.npy", np.float64, shape),
        version=_mapped(folder / f"versions-{number}.npy", np.int32, (rows,)),
    )


def _mapped(path: Path, kind: Any, shape: tuple[int, ...]) -> Any:
    if path.exists():
        try:
            held = np.lib.format.open_memmap(path, mode="r+")
            if held.shape == shape:
                return held
        except ValueError:  # cut off while it was made
            pass
    return np.lib.format.open_memmap(path, mode="w+", dtype=kind, shape=shape)


def _write(path: Path, value: Any) -> None:
    """Whole or not at all."""
    draft = path.with_suffix(".draft")
    draft.write_text(json.dumps(value, allow_nan=False))
    draft.replace(path)
