"""All lanes of one process."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from service.context import Context
from service.problems import Problem
from service.wire.lane import Lane, Surroundings
from service.wire.team import Team

THREADS = 2
BULK_CALLS = 2
"""Bulk calls under way at once; each keeps a processor busy."""


class Lanes:
    """Makes a project's lane when its first call comes. Used on the event loop alone."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self._executor = ThreadPoolExecutor(THREADS, thread_name_prefix="predict")
        self._team = Team()
        self._around = Surroundings(
            settings=context.settings,
            observation=context.observation,
            beside=context.shadow,
            metrics=context.metrics,
            executor=self._executor,
            team=self._team,
            clock=lambda: context.clock().timestamp(),
        )
        self._lanes: dict[str, Lane] = {}
        self._bulk_calls = 0

    def get(self, project: str) -> Lane | None:
        """The project's lane; None when it has no champion in this process."""
        champions = self.context.serving.champions
        if project not in champions:
            return None
        lane = self._lanes.get(project)
        if lane is None:
            serving = self.context.serving
            lane = self._lanes[project] = Lane(project, lambda: serving.champions.get(project), self._around)
        return lane

    @contextmanager
    def bulk(self) -> Iterator[None]:
        """The right to a bulk call. Raises a problem while others have it."""
        if self._bulk_calls >= BULK_CALLS:
            raise Problem(
                503,
                "overloaded",
                f"{BULK_CALLS} bulk calls are under way, and no more are taken at once.",
                remedy="Send the call again in a few seconds.",
                headers={"Retry-After": "5"},
            )
        self._bulk_calls += 1
        try:
            yield
        finally:
            self._bulk_calls -= 1

    def close(self) -> None:
        """Wait for what the threads have begun."""
        self._executor.shutdown(wait=True)
        self._team.close()


def overloaded() -> Problem:
    return Problem(
        503,
        "overloaded",
        "More rows wait for the model than the queue holds.",
        remedy="Send the call again in a second.",
        headers={"Retry-After": "1"},
    )


def too_late() -> Problem:
    return Problem(
        504,
        "deadline_exceeded",
        "The call was not answered by its deadline, so nobody waits for it any more.",
        remedy="Send fewer rows in a call, or a later deadline; X-Deadline-Ms is the call's, "
        "INCUMBENT_PREDICT_DEADLINE_SECONDS the server's.",
    )
