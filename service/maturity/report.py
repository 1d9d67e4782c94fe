"""A project's standing by each maturity model: the level reached, and what the next one lacks."""

from __future__ import annotations

from typing import Any

from registry.records import Project
from registry.store import Registry
from service.maturity.checks import CHECKS
from service.maturity.evidence import Evidence, gathered
from service.maturity.models import MODELS, Level, Model

Json = dict[str, Any]


def maturity(registry: Registry, project: Project) -> Json:
    """Both models, level by level, from what is recorded of the project."""
    return told(project.name, gathered(registry, project))


def told(project: str, seen: Evidence) -> Json:
    return {"project": project, "models": {name: _model(model, seen) for name, model in MODELS.items()}}


def _model(model: Model, seen: Evidence) -> Json:
    """A level is reached where no requirement of it, or of one below, is unmet. What cannot be seen from here holds
    nothing back, but is told: the level is at most the one that it says."""
    levels = [_level(level, seen) for level in model.levels]
    reached: int | None = None
    for level in levels:
        if not all(one["met"] is not False for one in level["requirements"]):
            break
        reached = level["level"]
    following = next((level for level in levels if reached is None or level["level"] > reached), None)
    return {
        "name": model.name,
        "source": model.source,
        "reached": reached,
        "unseen": [
            one["requirement"]
            for level in levels
            if reached is not None and level["level"] <= reached
            for one in level["requirements"]
            if one["met"] is None
        ],
        "next": None
        if following is None
        else {
            "level": following["level"],
            "name": following["name"],
            "missing": [one for one in following["requirements"] if one["met"] is False],
        },
        "levels": levels,
    }


def _level(level: Level, seen: Evidence) -> Json:
    requirements = []
    for text, check in level.asks:
        found = CHECKS[check](seen)
        requirements.append(
            {
                "requirement": text,
                "check": check,
                "met": found.met,
                "evidence": found.evidence,
                "remedy": found.remedy or None,
            }
        )
    return {"level": level.number, "name": level.name, "requirements": requirements}
