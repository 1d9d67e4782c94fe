"""Is a registered model what its record says? It is made anew from that record and compared with what was kept of it."""

from __future__ import annotations

import json
import secrets
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from registry.records import Model, Project, Run
from registry.store import Registry
from service.children import End, Limits, run_child
from service.environment import differences
from service.forecasts.kind import is_forecasting
from service.policy import Policy
from service.run_spec import specification
from service.settings import Settings

TOLERANCE = 1e-9
"""Answers and scores may differ by so much, relative above 1. The same libraries on the same machine give a gap of 0."""
SECONDS = 1800.0
_OF_SNAPSHOT = ("hash", "train_rows", "holdout_rows", "cut")


class CannotReproduce(Exception):
    """The record does not hold what it takes; the message says what is missing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reproduction:
    """``checks`` are the snapshot's hash, counts and cut, the score, and the golden rows, each kept and found.
    ``differences`` name libraries that are another version than the model was trained with."""

    version: int
    equal: bool
    checks: tuple[Mapping[str, Any], ...]
    differences: tuple[str, ...]
    tolerance: float
    seconds: float

    def to_json(self) -> dict[str, Any]:
        return {
            "version": self.version,
            "equal": self.equal,
            "tolerance": self.tolerance,
            "seconds": round(self.seconds, 2),
            "checks": [dict(check) for check in self.checks],
            "differences": list(self.differences),
        }


def reproduced(
    registry: Registry,
    settings: Settings,
    project: Project,
    version: int,
    *,
    tolerance: float = TOLERANCE,
    cancelled: Callable[[], bool] = lambda: False,
) -> Reproduction:
    """The model rebuilt in a child process, under the same limits on threads and memory as its search was.

    Changes nothing. Raises NotFound for an unknown version, CannotReproduce where the record is not enough or the child
    failed.
    """
    model = registry.models.get(project.id, version)
    run = _run_of(registry, project, model)
    began = time.monotonic()
    home = settings.home.resolve()
    (home / "runs").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="reproduce-", dir=home / "runs") as name:
        folder = Path(name)
        _furnish(registry, project, model, run, folder, tolerance)
        ended = run_child(
            "reproduce",
            folder,
            {"key": secrets.token_hex(32), "database_url": registry.database_url, "home": str(home)},
            Limits(deadline_seconds=SECONDS, memory_bytes=settings.child_memory_bytes),
            on_event=lambda event: None,
            cancelled=cancelled,
        )
        if ended.end is not End.OK:
            raise CannotReproduce(f"version {version} could not be rebuilt: {ended.reason}")
        checks = tuple(json.loads((folder / "reproduced.json").read_text())["checks"])
    return Reproduction(
        version=version,
        equal=all(check["equal"] for check in checks),
        checks=checks,
        differences=tuple(differences(model.details.get("environment"))),
        tolerance=tolerance,
        seconds=time.monotonic() - began,
    )


def _run_of(registry: Registry, project: Project, model: Model) -> Run:
    """The run that made the model. Raises CannotReproduce, saying what is lacking."""
    details, which = model.details, f"version {model.version}"
    if details.get("imported") is not None:
        raise CannotReproduce(f"{which} was imported: the rows it was trained on were never here")
    if is_forecasting(project):
        raise CannotReproduce(
            f"{which} is a mix of forecasting recipes that is fitted anew for each call: there is nothing trained to rebuild"
        )
    if model.run is None:
        raise CannotReproduce(f"{which} was made by no run, so neither its seed nor its policy is known")
    if details.get("construction") is None:
        raise CannotReproduce(
            f"how {which} was built is not kept: it is older than that, or has a part that JSON can't say"
        )
    return registry.runs.get(project.id, model.run)


def _furnish(
    registry: Registry, project: Project, model: Model, run: Run, folder: Path, tolerance: float
) -> None:
    """The specification as the run had it, and the files that its stages found."""
    details, open_blob = model.details, registry.blobs.open
    against = details.get("judged_against")
    champion = None if against is None else registry.models.get(project.id, against)
    then = replace(project, task=details["task"], schema=details["schema"])
    spec = specification(
        run,
        then,
        Policy.stored(run.plan["policy"]),
        champion=champion,
        models=(),
        drift=None,
        look=0,
        now=run.created_at,
    )
    on_all_rows = details.get("refit_of") is not None
    kept = run.verdict or {}
    spec |= {
        "pseudo": None,
        "refit_with_pseudo": "pseudo_labels" in model.attachments,
        "wanted": {
            "snapshot": {name: _judged(registry, project, model).details[name] for name in _OF_SNAPSHOT},
            "construction": details["construction"],
            "on_all_rows": on_all_rows,
            "partial": bool(details.get("partial")),
            "metric": details["metric"],
            "score": (kept.get("refit") or {}).get("refitted_score") if on_all_rows else details["score"],
            "tolerance": tolerance,
        },
    }
    (folder / "spec.json").write_text(json.dumps(spec))
    (folder / "golden.json").write_bytes(open_blob(model.attachments["golden"].digest))
    if "pseudo_labels" in model.attachments:
        (folder / "pseudo.parquet").write_bytes(open_blob(model.attachments["pseudo_labels"].digest))
    if champion is not None and "pseudo_labels" in champion.attachments:
        taught = open_blob(champion.attachments["pseudo_labels"].digest)
        (folder / "champion-pseudo.parquet").write_bytes(taught)


def _judged(registry: Registry, project: Project, model: Model) -> Model:
    """The model whose details tell of the split: of a refitted one, the one it was refitted from."""
    before = model.details.get("refit_of")
    return model if before is None else registry.models.get(project.id, before)
