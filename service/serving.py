"""The champions in this process, and who stands in their shadow. Serving pulls them from the registry; a swap is
one assignment."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping

from registry.errors import RegistryError
from registry.records import Project
from registry.store import Registry
from service.clock import Clock
from service.deployment import CannotDeploy, Deployment
from service.forecasts.kind import is_forecasting
from service.rests import BESIDE
from service.shelf import Shelf
from service.understudies import Understudies, Understudy

logger = logging.getLogger(__name__)

RETRY_SECONDS = 60.0


class Serving:
    """Watches the registry and keeps the champion of each project loaded that predicts rows.

    A batch takes one :class:`Deployment` from :attr:`champions` and answers all its rows with it, so no answer
    mixes versions; the old model is freed when its last batch has ended. A model that fails to load leaves the
    old one serving, is written to the deployments ledger and raises ``incumbent.deployment.failed``.
    """

    def __init__(
        self,
        registry: Registry,
        *,
        node: str,
        poll_seconds: float,
        clock: Clock,
        on_swap: Callable[[Deployment], None] = lambda deployment: None,
        most_shadows: int = 8,
    ) -> None:
        self._registry = registry
        self._node = node
        self._poll_seconds = poll_seconds
        self._clock = clock
        self._on_swap = on_swap
        self._shelf = Shelf(registry, rest=self._give_way)
        self._understudies = Understudies(registry, self._shelf, clock=clock, most=most_shadows)
        self._champions: dict[str, Deployment] = {}
        self._refused: dict[tuple[int, int], float] = {}
        self._wake = threading.Event()
        self._stop = False
        self._caught_up = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="serving", daemon=True)

    @property
    def champions(self) -> Mapping[str, Deployment]:
        """By project name. A snapshot reference: entries are replaced, never changed."""
        return self._champions

    @property
    def shadows(self) -> Mapping[str, Understudy]:
        """Who answers beside the champion, by project name; like :attr:`champions` a snapshot."""
        return self._understudies.loaded

    @property
    def shadow_faults(self) -> Mapping[str, str]:
        """By project name: why a model that should answer beside the champion does not."""
        return self._understudies.faults

    @property
    def caught_up(self) -> bool:
        """Whether every champion known at the start was loaded or refused."""
        return self._caught_up.is_set()

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop = True
        self._wake.set()
        self._thread.join(timeout=10)

    def nudge(self) -> None:
        """Look at the registry now instead of at the next poll."""
        self._wake.set()

    def refresh(self) -> None:
        """Bring this process in line with the registry once. Safe to call from one thread at a time."""
        projects = self._registry.projects.list()
        ids = {project.name: project.id for project in projects}
        for name, served in list(self._champions.items()):
            if ids.get(name) != served.project_id:  # deleted, or another project under its name
                del self._champions[name]
                self._shelf.forget(served.project_id)
        for project in projects:
            current = self._champions.get(project.name)
            self._give_way()
            if project.champion is None or is_forecasting(project) or not _is_behind(current, project):
                continue
            self._swap(project, current)
        self._understudies.refresh(projects)

    def _give_way(self) -> None:
        """Rests beside the event loop, which has calls to answer once a champion is there."""
        if self._champions:
            BESIDE.begin()
            BESIDE.rest()

    def _swap(self, project: Project, current: Deployment | None) -> None:
        assert project.champion is not None
        attempt = (project.id, project.epoch)
        now = self._clock().timestamp()
        if now - self._refused.get(attempt, 0.0) < RETRY_SECONDS:
            return
        try:
            deployment = self._shelf.take(project, project.champion)
        except Exception as error:  # whatever a model can do wrong must leave the old one serving
            self._refused[attempt] = now
            self._refuse(project, error)
            return
        self._refused.pop(attempt, None)
        self._give_way()
        self._champions[project.name] = deployment
        if current is None or current.version != deployment.version:
            self._record(project, deployment, current)
            self._give_way()
            self._on_swap(deployment)

    def _record(self, project: Project, deployment: Deployment, current: Deployment | None) -> None:
        at = self._clock()
        if current is not None:
            reason = f"replaced by version {deployment.version}"
            self._registry.ledger.deployed(project.id, current.version, self._node, "retired", reason, at=at)
        self._registry.ledger.deployed(
            project.id, deployment.version, self._node, "serving", "loaded, verified and warmed", at=at
        )

    def _refuse(self, project: Project, error: Exception) -> None:
        assert project.champion is not None
        expected = isinstance(error, CannotDeploy | RegistryError)
        reason = str(error) if expected else f"{type(error).__name__}: {error}"
        logger.error("version %s of %s can't serve: %s", project.champion, project.name, reason)
        at = self._clock()
        data = {"project": project.name, "version": project.champion, "node": self._node, "reason": reason}
        events = (("incumbent.deployment.failed", data),)
        self._registry.ledger.deployed(
            project.id, project.champion, self._node, "failed", reason, events=events, at=at
        )

    def _watch(self) -> None:
        while not self._stop:
            self._wake.clear()
            try:
                self.refresh()
                self._caught_up.set()
            except Exception:  # the registry may be away for a moment; serving goes on with what it has
                logger.exception("could not look at the registry; trying again")
            self._wake.wait(self._poll_seconds)


def _is_behind(current: Deployment | None, project: Project) -> bool:
    if current is None or current.project_id != project.id:
        return True
    return current.epoch != project.epoch or current.revision != project.revision
