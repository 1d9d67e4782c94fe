"""The models that this process has loaded last, so that one that comes back is there at once."""

from __future__ import annotations

import gc
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace

from registry.records import Model, Project
from registry.store import Registry
from service.deployment import Deployment, load

MOST = 4
"""Kept beside those that serve: each holds its trees, some ten MiB. A champion that is watched in shadow, promoted or
rolled back to is among the last few."""

_Key = tuple[int, int, int, str]


class Shelf:
    """Loads models and keeps the last few of them. Used by one thread.

    ``rest`` is called now and then while a model is loaded. What is taken again was verified when it was loaded and
    never changes; which epoch it serves in is told anew.
    """

    def __init__(self, registry: Registry, *, rest: Callable[[], None], most: int = MOST) -> None:
        self._registry = registry
        self._rest = rest
        self._most = most
        self._kept: OrderedDict[_Key, Deployment] = OrderedDict()

    def take(self, project: Project, version: int) -> Deployment:
        """That version, ready to serve. Raises what :func:`service.deployment.load` and the registry raise."""
        model = self._registry.models.get(project.id, version)
        key = _key(project, model)
        kept = self._kept.pop(key, None)
        taken = (
            self._loaded(project, model)
            if kept is None
            else replace(kept, project=project.name, epoch=project.epoch)
        )
        self._kept[key] = taken
        while len(self._kept) > self._most:
            self._kept.popitem(last=False)
        return taken

    def _loaded(self, project: Project, model: Model) -> Deployment:
        loaded = load(self._registry, project, model, self._rest)
        # It is long-lived: keep the collector from walking it in the middle of a request. What is old already is left
        # alone, as walking that now is as long a stop.
        gc.collect(1)
        gc.freeze()
        return loaded

    def forget(self, project_id: int) -> None:
        """Let go of what is kept of a project that is no longer served."""
        for key in [key for key in self._kept if key[0] == project_id]:
            del self._kept[key]


def _key(project: Project, model: Model) -> _Key:
    """A project that was deleted may leave its number to another, with another schema or task under each revision."""
    return project.id, model.version, project.revision, model.blob.digest
