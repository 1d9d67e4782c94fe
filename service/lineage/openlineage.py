"""The follower that tells of runs in OpenLineage's terms, where a sink is set."""

from __future__ import annotations

from registry.errors import NotFound
from registry.records import Project, Run
from registry.store import Registry
from service.alerts.envelope import installation
from service.clock import Clock
from service.lineage.events import run_event
from service.lineage.follower import Follower, Tell
from service.lineage.sinks import Send, sink
from service.settings import Settings

NAME = "openlineage"
_MODELS = 50
"""A run makes two versions at most; by the time it is told of, others may have come."""


def openlineage(registry: Registry, settings: Settings, *, clock: Clock) -> Follower | None:
    """None where ``INCUMBENT_OPENLINEAGE_URL`` is not set."""
    if settings.openlineage_url is None:
        return None
    key = settings.openlineage_key
    send = sink(settings.openlineage_url, None if key is None else key.get_secret_value())
    return Follower(NAME, registry, settings, teller(registry, send), clock=clock)


def teller(registry: Registry, send: Send) -> Tell:
    origin = installation(registry.signing_key)

    def tell(project: Project, run: Run, ended: bool) -> None:
        try:
            content = registry.datasets.version(project.id, run.dataset_version).content_hash
        except NotFound:
            content = None
        made = [one for one in registry.models.list(project.id, limit=_MODELS) if one.run == run.number]
        send(run_event(project, run, ended=ended, origin=origin, content_hash=content, models=made[::-1]))

    return tell
