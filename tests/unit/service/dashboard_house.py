"""The whole application on a home of hostile content: every text that a caller or a learner may choose is an attack."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from fastapi.testclient import TestClient
from hostile_trust import hostile_reports
from small_house import NOW, await_ready, make_champion, make_model, make_project, open_registry

from automl.schema import Schema
from registry.records import NewModel, TrialRecord
from registry.runs import RunStatus
from registry.store import Registry
from service.app import create_app
from service.settings import Settings

SCRIPT = "</script><script>alert('hostile')</script>"
IMAGE = '"><img src=x onerror=alert(1)>'
RTL = "\u202e\u05e9\u05dc\u05d5\u05dd evil"
LONG = "x" * 10_000
HOSTILE = f"{SCRIPT}{IMAGE}{RTL}"
EVIDENCE = {"champion": 1, "truths": 120, "drifted": [HOSTILE, LONG]}
VERDICT = {
    "outcome": "rejected",
    "reason": f"Rejected: {HOSTILE}",
    "metric": "roc_auc",
    "champion_score": 0.9,
    "challenger_score": 0.89,
    "baseline_score": 0.5,
    "difference": {"estimate": -0.01, "lower": -0.03, "upper": 0.01, "alpha": 0.05},
    "min_effect": 0.002,
    "rows": 50,
    "rows_needed": None,
    "gates": [
        {"name": "improvement", "passed": False, "reason": HOSTILE, "evidence": {}},
        {
            "name": "slices",
            "passed": None,
            "reason": HOSTILE,
            "evidence": {
                "slices": [
                    {
                        "column": HOSTILE,
                        "value": LONG,
                        "sensitive": True,
                        "rows": 50,
                        "champion": 0.9,
                        "challenger": 0.8,
                    }
                ]
            },
        },
    ],
}
ENGINES = {"blend": {"used": True, "reason": HOSTILE, "members": HOSTILE, "looked_again": 12}}
SNAPSHOT = {
    "train_rows": 100,
    "holdout_rows": 20,
    "left_out_rows": 0,
    "embargo_seconds": None,
    "pool_rows": 7,
    "sources": {f"human:{HOSTILE}": 120},
    "labels": {HOSTILE: 60, LONG: 60},
    "train_span": ["2026-01-01", "2026-01-02"],
    "holdout_span": ["2026-01-02", "2026-01-03"],
    "hash": "ab" * 32,
    "suspected_leaks": [{"column": HOSTILE}],
}


def hostile_home(registry: Registry) -> None:
    """A project with a champion, a judged run of two trials and a second model, all named by an attacker."""
    project = make_project(registry)
    model = make_model(registry, project)
    make_champion(registry, project, model.version)
    told = Schema.from_json(project.schema or {}).to_json()
    told["columns"].append(
        {"name": HOSTILE, "kind": "categorical", "categories": [LONG, SCRIPT], "optional": True}
    )
    registry.projects.update("fruit", schema=told)
    run = registry.runs.enqueue(
        project.id,
        trigger={"kind": HOSTILE, "fired": [], "evidence": EVIDENCE},
        reason=HOSTILE,
        plan={"budget_seconds": 20.0, "truths": 120},
        dataset_version=1,
        seed=1,
        at=NOW,
    )
    claimed = registry.runs.claim("test", lease_seconds=60, at=NOW)
    assert claimed is not None
    trials = [
        TrialRecord(
            number=number,
            engine=HOSTILE,
            estimator=LONG,
            score=0.5 + number / 10,
            seconds=1.0,
            config={HOSTILE: HOSTILE},
            error=None,
            at=NOW + timedelta(seconds=number),
        )
        for number in (1, 2)
    ]
    registry.runs.add_trials(run.id, claimed.fence, trials)
    registry.runs.describe(run.id, claimed.fence, snapshot=SNAPSHOT, engines=ENGINES, at=NOW)
    new = NewModel(
        blob=model.blob,
        engine=HOSTILE[:50],
        estimator=HOSTILE[:200],
        config={HOSTILE: LONG, "nested": [{"a": HOSTILE}]},
        dataset_version=1,
        attachments={
            **model.attachments,
            "trust": registry.blobs.put(json.dumps(hostile_reports(HOSTILE, LONG)).encode(), at=NOW),
        },
        details={
            **model.details,
            "score": 0.89,
            "holdout_rows": 20,
            "metric": "roc_auc",
            "outcome": "rejected",
        },
    )
    registry.runs.conclude(
        run.id,
        claimed.fence,
        status=RunStatus.COMPLETED,
        verdict=VERDICT,
        model=new,
        at=NOW + timedelta(seconds=9),
    )
    registry.drift.add(
        project.id,
        1,
        1.0,
        [HOSTILE, LONG],
        {"columns": [], "drifted": True, "rows_current": 9, "rows_reference": 9},
        at=NOW,
    )
    registry.ledger.decide(
        project.id,
        outcome="refused",
        trigger="nothing_fired",
        reason=f"{HOSTILE}; {LONG}",
        evidence={},
        at=NOW,
    )


class Site:
    """The application, a browser of it, and its registry."""

    def __init__(self, http: TestClient, registry: Registry) -> None:
        self.http = http
        self.registry = registry

    def get(self, path: str, **headers: str) -> Any:
        return self.http.get(path, headers={"accept": "text/html", **headers}, follow_redirects=False)

    def token(self, path: str = "/projects") -> str:
        found = re.search(r'X-CSRF-Token": "([0-9a-f]+)"', self.get(path).text)
        assert found is not None
        return found[1]

    def post(
        self, path: str, *, token: str | None = None, headers: dict[str, str] | None = None, **form: str
    ) -> Any:
        fields = form if token is None else {**form, "csrf": token}
        return self.http.post(
            path, data=fields, headers={"accept": "text/html", **(headers or {})}, follow_redirects=False
        )


@contextmanager
def site(folder: Path, **settings: Any) -> Iterator[Site]:
    registry = open_registry(folder)
    hostile_home(registry)
    app = create_app(
        Settings(home=folder / "home", scheduler=False, **settings), clock=lambda: NOW + timedelta(hours=1)
    )
    with TestClient(app) as http:
        await_ready(http)
        yield Site(http, registry)
    registry.close()
