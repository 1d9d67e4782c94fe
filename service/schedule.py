"""Cron expressions, read by APScheduler and always in UTC."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from apscheduler.triggers.cron import CronTrigger


def check_cron(expression: str) -> str:
    """The expression itself. Raises ValueError naming the five fields when it isn't cron."""
    try:
        CronTrigger.from_crontab(expression, timezone=UTC)
    except ValueError as error:
        raise ValueError(
            f"{expression!r} is not a cron expression of five fields (minute hour day month weekday): {error}"
        ) from error
    return expression


def next_due(expression: str, after: datetime) -> datetime:
    """The first time strictly after ``after`` that the expression names.

    >>> next_due("0 3 * * *", datetime(2026, 1, 1, 3, tzinfo=UTC)).isoformat()
    '2026-01-02T03:00:00+00:00'
    """
    trigger = CronTrigger.from_crontab(expression, timezone=UTC)
    moment: datetime | None = trigger.get_next_fire_time(None, after + timedelta(microseconds=1))
    if moment is None:
        raise ValueError(f"{expression!r} never comes due")
    return moment.astimezone(UTC)
