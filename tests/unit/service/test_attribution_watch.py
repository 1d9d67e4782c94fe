"""When a look at attributions is begun, and when not again."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pyarrow as pa
from small_house import NOW, make_champion, make_model, make_project, open_registry

from registry.records import BatchKind
from service.attribution_watch import AttributionWatch
from service.metrics import Metrics
from service.policy import Policy
from service.settings import Settings

POLICY = Policy.model_validate({"attributions": {"window": 100}})


def test_a_look_that_can_not_be_made_waits_before_the_next(tmp_path: Path) -> None:
    registry = open_registry(tmp_path)
    project = make_project(registry)
    model = make_model(
        registry, project
    )  # without the rows that it was trained on: there is nothing to look beside
    make_champion(registry, project, model.version)
    ids = [f"row-{number}" for number in range(120)]
    with registry.datasets.stage(project) as staging:
        told = {
            "_row_id": pa.array(ids),
            "model_version": pa.array([model.version] * 120, pa.int32()),
            "at": pa.array([NOW] * 120, pa.timestamp("us", tz="UTC")),
            "value": pa.array(["yes"] * 120),
        }
        staging.write_predictions(pa.table(told))
        registry.datasets.commit(staging, kind=BatchKind.PREDICTIONS, details={}, at=NOW)
    now = [NOW + timedelta(hours=1)]
    watch = AttributionWatch(
        registry, Settings(home=tmp_path / "home"), clock=lambda: now[0], metrics=Metrics()
    )
    begun = []

    def look() -> None:
        before = watch._beside._thread
        watch.look_at(registry.projects.get("fruit"), POLICY)
        begun.append(watch._beside._thread is not before)
        if watch._beside._thread is not None:
            watch._beside._thread.join(timeout=30)

    look()
    now[0] += timedelta(minutes=5)
    look()
    now[0] += timedelta(minutes=6)
    look()
    assert begun == [True, False, True]
    registry.close()
