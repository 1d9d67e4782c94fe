"""Champion and challengers on the same rows that none of them was trained on, in a process of its own."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from sklearn.pipeline import Pipeline

from automl.arms import Arm, Arms, three_arms
from automl.conformal import Conformal
from automl.judge import Rules, Scored, naive_baseline, spent_alpha
from automl.live_losses import LiveLoss
from automl.schema import Schema, frame
from automl.scoring import aligned, latency_ms, predictions
from automl.shift import prediction_shift
from automl.slices import Slice, slices
from automl.task import Label, Task
from automl.trust.vector import guarded
from automl.verdict import Gate
from service.desk import Desk
from service.kept_forms import FORM_FILE
from service.sealed import seal, unseal, unseal_object
from service.stages.compiling import compiled_gate
from service.stages.expectation import write_expectation
from service.stages.golden import golden, golden_gap, write_golden
from service.stages.reference import write_oddness, write_reference
from service.stages.rows import encoded_labels, entities, is_truth
from service.stages.trust import Seen, write_trust
from service.trust_reports import CERTAINTY_FILE


@dataclass(frozen=True, slots=True, kw_only=True)
class _Court:
    """What is judged on: the holdout, and what the run knows of it."""

    desk: Desk
    task: Task
    schema: Schema
    holdout: pa.Table
    rows: pd.DataFrame
    y: npt.NDArray[Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entrant:
    """A challenger with its answers to the holdout, which took it so many ``seconds``, and its golden rows."""

    pipeline: Pipeline
    scored: Scored
    seconds: float
    golden: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reigning:
    """The champion with its answers to the holdout, and what these took."""

    pipeline: Pipeline
    scored: Scored
    seconds: float
    known: tuple[Label, ...]


def run(desk: Desk, detail: str) -> None:
    """Judge the challengers that ``arms`` of the specification names, one or two.

    Leaves ``verdict.json``, ``trust.json`` and, of the one that stands, ``golden.json``, ``reference.parquet``,
    ``oddness.npz``, ``certainty.json``, ``expectation.json`` and, beside a champion, ``rivalry.json``; its compiled form in
    ``compiled.form`` where it has one.
    """
    spec = desk.spec
    task, schema = Task.from_json(spec["task"]), Schema.from_json(spec["schema"])
    files = {Arm(arm): file for arm, file in spec["arms"].items() if file is not None}
    pipelines = {arm: unseal_object(desk.folder / file, desk.key) for arm, file in files.items()}
    champion: Pipeline | None = None
    if spec["champion"] is not None:
        champion = unseal_object(desk.folder / "champion.model", desk.key)
    desk.ready()
    holdout = pq.read_table(desk.folder / "holdout.parquet")
    train = pq.read_table(desk.folder / "train.parquet")
    rows, y = frame(holdout, schema), encoded_labels(holdout, schema, task)
    court = _Court(desk=desk, task=task, schema=schema, holdout=holdout, rows=rows, y=y)
    entrants = {arm: _entrant(court, files[arm], pipeline) for arm, pipeline in pipelines.items()}
    reigning = None if champion is None else _champion(champion, rows, task, spec["champion"]["classes"])
    arms, alpha = _judged(court, None if reigning is None else reigning.scored, entrants, train)
    chosen = entrants[arms.challenger]
    if reigning is not None:
        _write_rivalry(desk, y, chosen.scored, reigning.scored)
    write_golden(desk.folder, chosen.golden)
    write_reference(desk, train, schema)
    write_oddness(desk, train, schema, task)
    _write_certainty(desk, y, chosen.scored)
    write_expectation(desk, chosen.pipeline, rows, chosen.scored.predictions, y, task)
    told = replace(arms.verdict, gates=(*arms.verdict.gates, _compiled(court, chosen)))
    verdict = guarded(told, _trusted(court, train, reigning, chosen))
    report = {**verdict.to_json(), "alpha_spent": alpha, "look": spec["look"]}
    if spec["pseudo"] is not None:
        report["arms"] = _told(arms)
    (desk.folder / "verdict.json").write_text(json.dumps(report, default=str))
    desk.tell("verdict", outcome=verdict.outcome.value, reason=verdict.reason)


def _judged(
    court: _Court, reigning: Scored | None, entrants: Mapping[Arm, _Entrant], train: pa.Table
) -> tuple[Arms, float]:
    """What is said of the challengers, and the alpha that this look spends."""
    spec, task, schema, holdout = court.desk.spec, court.task, court.schema, court.holdout
    whole, look = spec["rules"]["alpha"], spec["look"]
    alpha = spent_alpha(whole, look)
    rules = Rules(**{**spec["rules"], "alpha": alpha, "next_alpha": spent_alpha(whole, look + 1)})
    with_pseudo = entrants.get(Arm.WITH_PSEUDO)
    arms = three_arms(
        reigning,
        entrants[Arm.TRUE_ONLY].scored,
        None if with_pseudo is None else with_pseudo.scored,
        court.y,
        rules,
        truly_labelled=np.asarray(is_truth(holdout).to_numpy(zero_copy_only=False), dtype=bool),
        seed=spec["seed"],
        task=task,
        train_prior=naive_baseline(encoded_labels(train, schema, task), task, rules.metric),
        groups=_groups(holdout, task),
        slices=_slices(court.desk, holdout, schema, task, rules),
        effect_factors={Arm(arm): factor for arm, factor in spec["effect_factors"].items()},
    )
    return arms, alpha


def _told(arms: Arms) -> dict[str, Any]:
    """The arms with their scores, the challenger among them, and why it is that one."""
    pseudo, verdict = arms.pseudo, arms.verdict
    return {
        "challenger": arms.challenger.value,
        "reason": arms.reason,
        "scores": {
            "champion": verdict.champion_score,
            Arm.TRUE_ONLY.value: verdict.challenger_score if pseudo is None else pseudo.champion_score,
            Arm.WITH_PSEUDO.value: None if pseudo is None else pseudo.challenger_score,
        },
        "pseudo": None if pseudo is None else pseudo.to_json(),
    }


def _entrant(court: _Court, file: str, pipeline: Pipeline) -> _Entrant:
    desk, task, schema = court.desk, court.task, court.schema
    stored = unseal(desk.folder / file, desk.key)
    questions = golden(pipeline, court.holdout, schema, task)
    answers, seconds = _timed(pipeline, court.rows, task)
    scored = Scored(
        predictions=answers,
        latency_ms=latency_ms(pipeline, court.rows, task),
        size_bytes=len(stored),
        golden_gap=golden_gap(stored, questions, schema, task),
    )
    return _Entrant(pipeline=pipeline, scored=scored, seconds=seconds, golden=questions)


def _timed(pipeline: Pipeline, rows: pd.DataFrame, task: Task) -> tuple[npt.NDArray[np.float64], float]:
    """The answers to the holdout, and how long they took: how often a model can be asked again follows from that."""
    started = time.perf_counter()
    answers = predictions(pipeline, rows, task)
    return answers, time.perf_counter() - started


def _trusted(
    court: _Court, train: pa.Table, reigning: _Reigning | None, chosen: _Entrant
) -> tuple[Gate, ...]:
    """The gate vector of the challenger that stands."""
    seen = Seen(
        task=court.task,
        schema=court.schema,
        holdout=court.holdout,
        rows=court.rows,
        y=court.y,
        train=train,
        train_y=encoded_labels(train, court.schema, court.task),
    )
    reigns = None
    if reigning is not None:
        answers = reigning.scored.predictions
        reigns = seen.standing(reigning.pipeline, answers, reigning.known, reigning.seconds)
    answers = chosen.scored.predictions
    challenger = seen.standing(chosen.pipeline, answers, tuple(court.task.classes), chosen.seconds)
    return write_trust(court.desk, seen, reigns, challenger)


def _compiled(court: _Court, chosen: _Entrant) -> Gate:
    answers = chosen.scored.predictions
    return compiled_gate(
        chosen.pipeline,
        court.holdout,
        answers,
        chosen.golden,
        court.schema,
        court.task,
        keep=lambda packed: seal(court.desk.folder / FORM_FILE, packed, court.desk.key),
    )


def _groups(holdout: pa.Table, task: Task) -> npt.NDArray[Any] | None:
    """What is resampled as a whole: entities, and each row without one by itself."""
    named = entities(holdout, task)
    if named is None:
        return None
    alone = np.array([f"\0row {position}" for position in range(len(named))], dtype=object)
    return np.where(pd.isna(named), alone, named)


def _slices(desk: Desk, holdout: pa.Table, schema: Schema, task: Task, rules: Rules) -> tuple[Slice, ...]:
    """The parts of the rows that may not get worse; none where the policy has no such gate."""
    most = desk.spec["slices"]
    if most is None:
        return ()
    return slices(holdout, schema, task, most=most, min_rows=rules.slice_rows)


def _champion(champion: Pipeline, rows: pd.DataFrame, task: Task, known: list[Label]) -> _Reigning:
    scores, seconds = _timed(champion, rows, task)
    if task.is_classification:
        scores = aligned(scores, known, task.classes)
    scored = Scored(predictions=scores, latency_ms=None, size_bytes=None)
    return _Reigning(pipeline=champion, scored=scored, seconds=seconds, known=tuple(known))


def _write_certainty(desk: Desk, y: npt.NDArray[Any], scored: Scored) -> None:
    """The errors that a prediction's set or interval is made of later."""
    try:
        found = Conformal.fit(scored.predictions, y)
    except ValueError:  # predictions that no metric takes: the verdict says so
        return
    (desk.folder / CERTAINTY_FILE).write_text(json.dumps(found.to_json()))


def _write_rivalry(desk: Desk, y: npt.NDArray[Any], challenged: Scored, reigning: Scored) -> None:
    """What a later comparison of these two models on live rows measures its losses and its shift against."""
    try:
        loss = LiveLoss.fit(
            desk.spec["rules"]["metric"], y, new=challenged.predictions, old=reigning.predictions
        )
    except ValueError:  # predictions that no metric takes: the verdict says so
        return
    rivalry = {
        "against": desk.spec["champion"]["version"],
        "loss": loss.to_json(),
        "shift": prediction_shift(challenged.predictions, reigning.predictions),
    }
    (desk.folder / "rivalry.json").write_text(json.dumps(rivalry))
