"""What the overview shows of each project, kept until the registry's pulse says that something has changed."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import timedelta

from registry.pulse import Beat
from registry.records import Project
from service.api.context import Context
from service.dashboard.glance import HOUR, Glance, glance
from service.dashboard.story import Happening, story
from service.dashboard.turns import turn

_LOOKS_BACK = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """``mark`` is all that this look depends on; an equal one makes it good still."""

    mark: tuple[Beat | None, int | None, int, int]
    glance: Glance
    happenings: tuple[Happening, ...]


class KeptGlances:
    """The newest look at each project. A project in which nothing happened costs its part of one small query."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._kept: dict[int, Kept] = {}

    def of(self, context: Context, projects: tuple[Project, ...]) -> list[Kept]:
        """One for each, in their order; happenings are those of the last day, newest first. Blocks: for a thread."""
        # Read before the facts: what changes in between is seen by the next look.
        pulses = context.registry.pulse.each()
        with self._guard:
            found = {one.id: self._one(context, one, pulses.get(one.id)) for one in projects}
            self._kept = found
        return list(found.values())

    def _one(self, context: Context, project: Project, pulse: Beat | None) -> Kept:
        now = context.clock()
        served = context.serving.champions.get(project.name)
        # Answers are counted by the hour, so an hour that begins is a change too.
        hour = int(now.timestamp()) // HOUR
        mark = (pulse, None if served is None else served.version, hour, project.revision)
        kept = self._kept.get(project.id)
        if kept is not None and kept.mark == mark:
            return kept
        with turn():
            told = tuple(story(context.registry, project, since=now - _LOOKS_BACK, waits=False))
            return Kept(mark=mark, glance=glance(context, project), happenings=told)
