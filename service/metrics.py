"""Prometheus metrics of this process: base units, labels project and model, never a row id."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest

from service.durations import Durations

_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


def _nothing() -> None: ...


class Metrics:
    """One set for one app, so that several apps in one process (tests) do not share counts."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.refresh: Callable[[], None] = _nothing
        self.predictions = Counter(
            "incumbent_predictions_total", "Rows predicted.", ["project", "model"], registry=self.registry
        )
        self.duration = Durations(
            "incumbent_prediction_duration_seconds",
            "From the read body to the encoded answer.",
            "project",
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.refused = Counter(
            "incumbent_predictions_refused_total",
            "Calls refused.",
            ["project", "code"],
            registry=self.registry,
        )
        self.decisions = Counter(
            "incumbent_decisions_total",
            "Trigger decisions.",
            ["project", "trigger", "outcome"],
            registry=self.registry,
        )
        self.promotions = Counter(
            "incumbent_promotions_total", "Promotions.", ["project"], registry=self.registry
        )
        self.rollbacks = Counter(
            "incumbent_rollbacks_total", "Rollbacks.", ["project"], registry=self.registry
        )
        self.approvals = Counter(
            "incumbent_approvals_total",
            "Ended approvals: approved, refused, expired, stale.",
            ["project", "outcome"],
            registry=self.registry,
        )
        self.runs = Counter(
            "incumbent_runs_total", "Ended runs.", ["project", "outcome"], registry=self.registry
        )
        self.labels = Counter(
            "incumbent_labels_total", "Labels stored.", ["project", "source"], registry=self.registry
        )
        self.drift_share = Gauge(
            "incumbent_drift_share", "Share of features that moved.", ["project"], registry=self.registry
        )
        self.outlier_share = Gauge(
            "incumbent_outlier_share",
            "Share of the newest rows that lie far from all rows trained on.",
            ["project"],
            registry=self.registry,
        )
        self.attribution_drift = Gauge(
            "incumbent_attribution_drift",
            "How far a column's contributions to the newest answers moved at most, as a share of what all columns add.",
            ["project", "model"],
            registry=self.registry,
        )
        self.shadow_scored = Counter(
            "incumbent_shadow_scored_total", "Rows scored in shadow.", ["project"], registry=self.registry
        )
        self.shadow_dropped = Counter(
            "incumbent_shadow_dropped_total",
            "Rows that were not scored in shadow because its queue was full.",
            ["project"],
            registry=self.registry,
        )
        self.shadow_failed = Counter(
            "incumbent_shadow_failed_total",
            "Rows that the model in the shadow could not score.",
            ["project"],
            registry=self.registry,
        )
        self.probations = Counter(
            "incumbent_probations_total", "Ended probations.", ["project", "status"], registry=self.registry
        )
        self.estimated_metric = Gauge(
            "incumbent_estimated_metric",
            "The project's metric on the newest answers, estimated before their truth comes.",
            ["project", "model"],
            registry=self.registry,
        )
        self.realized_metric = Gauge(
            "incumbent_realized_metric",
            "The project's metric on the newest answers whose truth has come.",
            ["project", "model"],
            registry=self.registry,
        )
        self.alerts = Counter(
            "incumbent_alert_deliveries_total",
            "Attempts to tell an alert channel something.",
            ["channel", "outcome"],
            registry=self.registry,
        )
        self.champion = Gauge(
            "incumbent_champion_version",
            "Version that serves in this process.",
            ["project"],
            registry=self.registry,
        )

    def text(self) -> bytes:
        """All metrics. ``refresh`` is called first: it reads what others know."""
        self.refresh()
        return generate_latest(self.registry)
