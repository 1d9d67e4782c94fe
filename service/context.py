"""The composed service as one frozen object, and who may ask it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from registry.store import Registry
from service.clock import Clock
from service.metrics import Metrics
from service.problems import Problem
from service.settings import Settings

if TYPE_CHECKING:
    from service.alerts.room import AlertRoom
    from service.approving import Approving
    from service.forecasts.asking import Forecasting
    from service.lineage.follower import Follower
    from service.observation import Observation
    from service.outliers import Measures
    from service.replay.room import ReplayRoom
    from service.scheduler import Scheduler
    from service.serving import Serving
    from service.shadow import Shadow


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """The composed service. ``nudge`` wakes the scheduler and serving after something changed."""

    settings: Settings
    registry: Registry
    clock: Clock
    serving: Serving
    observation: Observation
    shadow: Shadow
    scheduler: Scheduler
    metrics: Metrics
    approving: Approving
    keys_required: bool
    replays: ReplayRoom | None = None
    forecasting: Forecasting | None = None
    measures: Measures | None = None
    alerts: AlertRoom | None = None
    followers: tuple[Follower, ...] = ()


def authorise(context: Context, authorization: str | None, x_api_key: str | None, scope: str) -> None:
    """Raises a 401 or 403 problem unless keys are not required here or the key given has the scope."""
    if not context.keys_required:
        return
    secret = shown_secret(authorization, x_api_key)
    if not secret:
        raise Problem(
            401,
            "key_missing",
            "This server asks for an API key.",
            remedy="Send 'Authorization: Bearer inc_…'; make a key with 'incumbent key create --scope "
            + scope
            + "'.",
        )
    key = context.registry.keys.verify(secret)
    if key is None:
        raise Problem(401, "key_invalid", "The API key is unknown or revoked.", remedy="Make a new key.")
    if scope not in key.scopes and "admin" not in key.scopes:
        raise Problem(
            403,
            "scope_missing",
            f"The key {key.prefix} may not do this: it lacks the scope '{scope}'.",
            remedy=f"Use a key made with --scope {scope}.",
        )


def shown_secret(authorization: str | None, x_api_key: str | None) -> str | None:
    """The secret that a caller sent in either of the two headers."""
    if x_api_key is None and authorization and authorization.lower().startswith("bearer "):
        return authorization[7:].strip()
    return x_api_key
