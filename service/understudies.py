"""The models that stand in a champion's shadow in this process."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from registry.errors import RegistryError
from registry.probations import Probation
from registry.records import Project
from registry.store import Registry
from service.clock import Clock
from service.deployment import CannotDeploy, Deployment
from service.shelf import Shelf

logger = logging.getLogger(__name__)

RETRY_SECONDS = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Understudy:
    """A loaded model, and the probation for which it answers beside version ``champion``."""

    deployment: Deployment
    probation: int
    champion: int


class Understudies:
    """Keeps the other model of each open probation loaded: one a project, at most ``most`` in this process.

    One that can't be loaded is left out; :attr:`faults` says why. :meth:`refresh` is called from one thread.
    """

    def __init__(self, registry: Registry, shelf: Shelf, *, clock: Clock, most: int) -> None:
        self._registry = registry
        self._shelf = shelf
        self._clock = clock
        self._most = most
        self._loaded: Mapping[str, Understudy] = {}
        self._refused: dict[tuple[int, int], float] = {}
        self._faults: Mapping[str, str] = {}

    @property
    def loaded(self) -> Mapping[str, Understudy]:
        """By project name; replaced as a whole, never changed."""
        return self._loaded

    @property
    def faults(self) -> Mapping[str, str]:
        """By project name: why the model that should stand in its shadow does not."""
        return self._faults

    def refresh(self, projects: Sequence[Project]) -> None:
        """Load and let go, in line with the open probations."""
        by_id = {project.id: project for project in projects}
        loaded: dict[str, Understudy] = {}
        faults: dict[str, str] = {}
        for probation in self._registry.probations.open():
            project = by_id.get(probation.project_id)
            if project is None or project.epoch != probation.epoch:
                continue
            if len(loaded) >= self._most:
                faults[project.name] = f"this process keeps at most {self._most} models in shadow"
                continue
            try:
                understudy = self._understudy(project, probation)
            except _Waiting as waiting:
                faults[project.name] = str(waiting)
            else:
                loaded[project.name] = understudy
        self._loaded, self._faults = loaded, faults

    def _understudy(self, project: Project, probation: Probation) -> Understudy:
        current = self._loaded.get(project.name)
        if current is not None and _fits(current, project, probation):
            return current
        attempt, now = (project.id, probation.number), self._clock().timestamp()
        if now - self._refused.get(attempt, 0.0) < RETRY_SECONDS:
            raise _Waiting(self._faults.get(project.name, "it could not be loaded"))
        try:
            deployment = self._shelf.take(project, probation.other)
        except Exception as error:  # whatever a model can do wrong is no matter of the champion's
            self._refused[attempt] = now
            expected = isinstance(error, CannotDeploy | RegistryError)
            reason = str(error) if expected else f"{type(error).__name__}: {error}"
            logger.error("version %s of %s has no place in shadow: %s", probation.other, project.name, reason)
            raise _Waiting(reason) from error
        self._refused.pop(attempt, None)
        return Understudy(deployment=deployment, probation=probation.number, champion=probation.champion)


class _Waiting(Exception):
    """It is not loaded, and won't be tried again for a while."""


def _fits(current: Understudy, project: Project, probation: Probation) -> bool:
    deployment = current.deployment
    return (
        current.probation == probation.number
        and deployment.project_id == project.id
        and deployment.revision == project.revision
    )
