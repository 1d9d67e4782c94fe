"""Which reference pages there are, and what makes each of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from service.reference import (
    alert_kinds,
    commands,
    http_api,
    metric_names,
    policy_fields,
    process_settings,
    python_calls,
)

SESSION, ALERTS = "command-line.md", "alerts.md"
"""These pages are written by hand around a part of them, the others wholly by the code."""


def pages(docs: Path) -> Mapping[str, str]:
    """The text of every page with a part made from the code, by its name below ``docs``."""
    return {
        SESSION: commands.rewritten((docs / SESSION).read_text(encoding="utf-8")),
        ALERTS: alert_kinds.rewritten((docs / ALERTS).read_text(encoding="utf-8")),
        "reference/http.md": http_api.page(),
        "reference/metrics.md": metric_names.page(),
        "reference/policy-fields.md": policy_fields.page(),
        "reference/python.md": python_calls.page(),
        "reference/settings.md": process_settings.page(),
    }
