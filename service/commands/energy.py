"""``incumbent energy``: what searching and serving cost, measured or estimated."""

from __future__ import annotations

from typing import Any

from service.commands.console import out, show_facts, show_json, show_table
from service.commands.options import AsJson, Key, ProjectName, Url, connect


def energy(project: ProjectName, url: Url = None, key: Key = None, as_json: AsJson = False) -> None:
    """Say what searches, replays and predictions used, and what the searches gained for that."""
    with connect(url, key) as server:
        found = server.energy(project)
    if as_json:
        show_json(found)
        return
    words = ("kind", "source", "readings", "wh", "gco2e")
    lines = [[one[word] for word in words] for one in found["totals"]]
    show_table(("", "source", "readings", "Wh", "gCO2e"), lines, empty="Nothing was metered yet.")
    if found["runs"]:
        heads = ("run", "Wh", "gCO2e", "source", "gain", "gain per Wh")
        of = ("run", "wh", "gco2e", "source", "gain", "gain_per_wh")
        show_table(heads, [[one[word] for word in of] for one in found["runs"]], empty="")
    show_facts(_facts(found))
    if not found["metered"]:
        out().print("INCUMBENT_ENERGY is off: nothing is metered.", style="dim")


def _facts(found: dict[str, Any]) -> dict[str, Any]:
    day, serving = found["last_24_hours"], found["serving"]
    return {
        "grid": found["grid"],
        "g_per_kwh": found["g_per_kwh"],
        "search_wh_in_24_hours": day["search_wh"],
        "daily_energy_wh": day["daily_energy_wh"],
        "wh_per_1000_predictions": serving["wh_per_1000_predictions"],
        "gco2e_per_1000_predictions": serving["gco2e_per_1000_predictions"],
        "of_predictions": serving["predictions"],
        "serving_is": serving["source"],
    }
