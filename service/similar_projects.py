"""What champions of similar projects were made of, to be tried first where a project's own past has little to say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from automl.meta_features import nearest
from registry.errors import NotFound
from registry.records import Model, Project
from registry.store import Registry

META = "meta_features"
MOST = 2
"""Similar projects that are asked."""


def similar_recipes(
    registry: Registry, project: Project, mine: Mapping[str, float] | None
) -> list[list[Mapping[str, Any]]]:
    """The recipes of the champions of the projects that are most like this one, nearest first.

    Only configurations go from one project to another: no row, no label, no trained model.
    """
    if mine is None:
        return []
    champions = {other.name: _champion(registry, other) for other in registry.projects.list()}
    known = {
        name: model.details[META]
        for name, model in champions.items()
        if name != project.name
        and model is not None
        and model.details.get(META)
        and model.details.get("recipe")
    }
    found = [champions[name] for name in nearest(mine, known, most=MOST)]
    return [list(model.details["recipe"]) for model in found if model is not None]


def _champion(registry: Registry, project: Project) -> Model | None:
    if project.champion is None:
        return None
    try:
        return registry.models.get(project.id, project.champion)
    except NotFound:  # deleted meanwhile
        return None
