"""``incumbent monitoring``: what Prometheus and Grafana want to be given, ready."""

from __future__ import annotations

import sys
from pathlib import Path

import typer

app = typer.Typer(
    help="Alerting rules for Prometheus and a dashboard for Grafana, ready to use.", no_args_is_help=True
)

FOLDER = Path(__file__).parent.parent / "static" / "monitoring"
RULES, DASHBOARD = FOLDER / "alert-rules.yml", FOLDER / "grafana-dashboard.json"


@app.command("rules")
def rules() -> None:
    """Print alerting rules for Prometheus."""
    sys.stdout.write(RULES.read_text(encoding="utf-8"))


@app.command("grafana")
def grafana() -> None:
    """Print a dashboard to import in Grafana."""
    sys.stdout.write(DASHBOARD.read_text(encoding="utf-8"))
