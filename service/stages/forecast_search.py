"""The search of a forecasting run, in its own process: recipes of the portfolio and of FLAML on the same origins."""

from __future__ import annotations

import json
import time
import uuid
from collections import Counter
from typing import Any

from automl.engines.flaml_forecasts import ENGINE, KIND, forecaster, load, proposer
from automl.forecasting.model import ForecastModel
from automl.forecasting.search import Proposals, Tried, search
from service.desk import Desk
from service.sealed import seal
from service.stages.series import known_panel


def run(desk: Desk, detail: str) -> None:
    """Leaves ``<detail>.json``, which names a sealed model (JSON) and is written anew for a better one, and
    ``<detail>.parts.json`` on what each engine did."""
    asked = desk.spec["searches"][detail]
    panel, task = known_panel(desk)
    assert task.horizon is not None
    train = panel.until(json.loads((desk.folder / "snapshot.json").read_text())["position"])
    shares: dict[str, float] = asked["shares"]
    if shares.get("flaml", 0.0):
        load()
    desk.ready()
    began = time.monotonic()

    def left() -> float:
        return float(asked["budget_seconds"]) - (time.monotonic() - began)

    tried: list[Tried] = []

    def report(one: Tried) -> None:
        tried.append(one)
        desk.tell(
            "trial",
            engine=one.recipe.engine,
            estimator=one.recipe.name,
            score=one.score,
            seconds=one.seconds,
            config=dict(one.recipe.config),
            error=one.error,
        )

    whole = sum(shares.values())
    flaml = shares.get("flaml", 0.0) / whole
    proposals, foreign = _flaml(flaml * asked["budget_seconds"], desk.spec["seed"], left)
    model = search(
        train,
        task.horizon,
        seed=desk.spec["seed"],
        left=left,
        report=report,
        proposals=proposals if flaml else {},
        reserved=flaml * asked["budget_seconds"],
        foreign=foreign,
        offer=lambda best: _leave(desk, detail, best),
    )
    _leave(desk, detail, model)
    parts = {name: _part(name, tried) for name in shares}
    (desk.folder / f"{detail}.parts.json").write_text(json.dumps({"parts": parts, "blend": {}}))


def _flaml(seconds: float, seed: int, left: Any) -> tuple[dict[str, Proposals], dict[str, Any]]:
    return {ENGINE: proposer(seconds, seed, left)}, {KIND: forecaster(left)}


def _part(engine: str, tried: list[Tried]) -> dict[str, Any]:
    """What one engine did: its best recipe alone."""
    mine = [one for one in tried if one.recipe.engine == engine]
    good = sorted((one.score, at) for at, one in enumerate(mine) if one.score is not None)
    best = mine[good[0][1]] if good else None
    errors = Counter(one.error for one in mine if one.error is not None)
    failed = errors.most_common(1)[0][0] if errors else "nothing was proposed in its time"
    return {
        "score": None if best is None else best.score,
        "estimator": None if best is None else best.recipe.name,
        "error": None if best is not None else failed,
        "seconds": sum(one.seconds for one in mine),
        "trials": len(mine),
    }


def _leave(desk: Desk, detail: str, model: ForecastModel) -> None:
    name = f"{detail}-{uuid.uuid4().hex}.model"
    data = json.dumps(model.to_json()).encode()
    seal(desk.folder / name, data, desk.key)
    usual = sorted(zip(model.blend.usual, model.blend.recipes, strict=True), key=lambda pair: -pair[0])
    members = [(share, recipe) for share, recipe in usual if share > 0]
    facts = {
        "engine": members[0][1].engine,
        "estimator": " + ".join(f"{share:.2f} {recipe.name}" for share, recipe in members)[:200],
        "score": model.score,
        "config": {"recipes": [recipe.to_json() for _, recipe in members]},
        "requirements": {},
        "size_bytes": len(data),
        "partial": False,
        "file": name,
    }
    draft = desk.folder / f"{detail}.draft"
    draft.write_text(json.dumps(facts, default=str))
    draft.rename(desk.folder / f"{detail}.json")
