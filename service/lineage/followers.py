"""Who is told of runs, by the settings."""

from __future__ import annotations

from registry.store import Registry
from service.clock import Clock
from service.lineage.follower import Follower
from service.lineage.mlflow_mirror import mirror
from service.lineage.openlineage import openlineage
from service.settings import Settings


def followers(registry: Registry, settings: Settings, *, clock: Clock) -> tuple[Follower, ...]:
    """One for each receiver that is set; mostly none."""
    made = (openlineage(registry, settings, clock=clock), mirror(registry, settings, clock=clock))
    return tuple(one for one in made if one is not None)
