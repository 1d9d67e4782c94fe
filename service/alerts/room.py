"""Who tells the channels: one thread a process that puts new events on them, and a few that speak to the receivers."""

from __future__ import annotations

import logging
import random
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from registry.alert_channels import Channel
from registry.alert_deliveries import Delivery
from registry.errors import StaleFence
from registry.store import Registry
from service.alerts.envelope import installation, route
from service.alerts.pauses import pause
from service.alerts.storage_watch import StorageWatch
from service.alerts.telling import DEADLINE_SECONDS, Teller, Untold
from service.clock import Clock
from service.metrics import Metrics
from service.rests import BESIDE
from service.settings import Settings

logger = logging.getLogger(__name__)

VOICES = 4
"""So many receivers are spoken to at once: a slow one does not keep the others waiting."""
KEPT = timedelta(days=30)
"""What was told or given up longer ago is forgotten."""
_PRUNE_EVERY = timedelta(hours=1)


class AlertRoom:
    """Carries events from the ledger to the channels: at least once each, under one id, in the order they happened as
    long as none fails. A delivery belongs to whoever holds its lease, so a killed process's are told by the next."""

    def __init__(
        self,
        registry: Registry,
        settings: Settings,
        *,
        clock: Clock,
        metrics: Metrics,
        storage: StorageWatch,
    ) -> None:
        self._registry = registry
        self._settings = settings
        self._clock = clock
        self._metrics = metrics
        self._storage = storage
        self.origin = installation(registry.signing_key)
        self._teller = Teller(
            settings=settings,
            signing_key=registry.signing_key,
            clock=clock,
            seconds=min(DEADLINE_SECONDS, settings.lease_seconds / 2),
        )
        self._draw = random.Random()
        self._stopping = threading.Event()
        self._wake = threading.Event()
        self._voices = ThreadPoolExecutor(VOICES, thread_name_prefix="alert")
        self._free = threading.Semaphore(VOICES)
        self._thread: threading.Thread | None = None
        self._pruned = clock()

    @property
    def teller(self) -> Teller:
        return self._teller

    def start(self) -> None:
        if self._settings.scheduler:
            self._thread = threading.Thread(target=self._watch, name="alerts", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Say what is being said to its end; the rest is told by the next process."""
        self._stopping.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join(timeout=15)
        self._voices.shutdown(wait=True, cancel_futures=True)

    def nudge(self) -> None:
        """Look now instead of later. Cheap; may be called from any thread."""
        self._wake.set()

    def settle(self) -> None:
        """Wait until nothing is being said."""
        for _ in range(VOICES):
            self._free.acquire()
        self._free.release(VOICES)

    def look(self) -> None:
        """Put new events on their channels, and have what is due told as far as voices are free."""
        now = self._clock()
        while self._registry.alert_deliveries.fan_out(route(self.origin), at=now):
            if self._stopping.is_set():
                return
        while not self._stopping.is_set() and self._free.acquire(blocking=False):
            delivery = self._registry.alert_deliveries.claim(
                self._settings.node, lease_seconds=self._settings.lease_seconds, at=self._clock()
            )
            if delivery is None:
                self._free.release()
                return
            self._voices.submit(self._say, delivery)

    def tell(self, delivery: Delivery) -> None:
        """Tell a delivery that this process holds, and keep what came of it."""
        channel = self._channel(delivery)
        if channel is None:
            note = "given up, for its project was deleted"
            self._registry.alert_deliveries.failed(delivery, note=note, again_at=None, at=self._clock())
            return
        try:
            note = self._teller.tell(channel, delivery)
        except Untold as error:
            self._failed(delivery, channel, error)
            return
        except Exception as fault:  # a fault of ours must not be repeated without end
            logger.exception("delivery %d could not be made", delivery.id)
            self._failed(
                delivery, channel, Untold(f"a fault of this server: {type(fault).__name__}: {fault}")
            )
            return
        self._registry.alert_deliveries.delivered(delivery, note=note, at=self._clock())
        self._metrics.alerts.labels(channel.kind, "delivered").inc()

    def _say(self, delivery: Delivery) -> None:
        try:
            self.tell(delivery)
        except StaleFence as lost:
            logger.warning("%s", lost)
        except Exception:
            logger.exception("what came of delivery %d could not be kept; its lease runs out", delivery.id)
        finally:
            self._free.release()
            self._wake.set()

    def _channel(self, delivery: Delivery) -> Channel | None:
        found = self._registry.alert_channels.list()
        return next((one for one in found if one.id == delivery.channel_id), None)

    def _failed(self, delivery: Delivery, channel: Channel, error: Untold) -> None:
        now = self._clock()
        first = timedelta(seconds=self._settings.alert_retry_seconds)
        again = now + pause(delivery.attempts, first=first, draw=self._draw, asked=error.asked)
        last = delivery.created_at + timedelta(seconds=self._settings.alert_give_up_seconds)
        if error.final:
            note = f"given up, for the receiver wants no more: {error}"
        elif again > last:
            note = f"given up after {delivery.attempts} attempts, the last: {error}"
        else:
            note = str(error)
        over = error.final or again > last
        self._registry.alert_deliveries.failed(delivery, note=note, again_at=None if over else again, at=now)
        self._metrics.alerts.labels(channel.kind, "gave_up" if over else "failed").inc()
        if over:
            logger.warning("the channel %s was not told of %s: %s", channel.name, delivery.event_id, note)

    def _watch(self) -> None:
        BESIDE.begin()
        while not self._stopping.is_set():
            self._wake.clear()
            try:
                self._storage.look()
                self.look()
                self._prune()
            except Exception:  # the registry may be away for a moment
                logger.exception("could not look for alerts; trying again")
            self._wake.wait(self._settings.tick_seconds)

    def _prune(self) -> None:
        now = self._clock()
        if now - self._pruned >= _PRUNE_EVERY:
            self._pruned = now
            self._registry.alert_deliveries.prune(before=now - KEPT)
