"""How long after an upload's answer a first model answers: a server of its own, 10,000 flights as CSV, over real HTTP.

    python benchmarks/first_model.py [--times 3] [--rows 10000] [--json FILE]

Each time a new project of the default policy is made in the same server, the rows are uploaded, and from the upload's
answer on one flight is asked for again and again, every 50 ms, until the answer comes from a model. Nothing else is asked.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import httpx

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.serving.servers import Server, free_port
from service.demo.flights import FEATURES, ID, TARGET, TIME, flights

POLL_SECONDS = 0.05
GIVE_UP_SECONDS = 120.0


def rows_of(count: int) -> Any:
    """The oldest flights: what a project that starts with the year has first."""
    return flights().head(count)


def once(client: httpx.Client, project: str, file: Path, row: dict[str, Any]) -> dict[str, Any]:
    """Seconds of the upload, and from its answer until a model answers."""
    made = {"name": project, "task": "classification", "target": TARGET, "metric": "roc_auc"}
    client.post("/v1/projects", json={**made, "time_column": TIME, "id_column": ID}).raise_for_status()
    began = time.perf_counter()
    with file.open("rb") as data:
        answer = client.post(f"/v1/projects/{project}/data", files={"file": (file.name, data, "text/csv")})
    answer.raise_for_status()
    answered = time.perf_counter()
    while (waited := time.perf_counter() - answered) < GIVE_UP_SECONDS:
        told = client.post(f"/v1/projects/{project}/predict", json={"rows": [row]})
        if told.status_code == 200:
            seconds = time.perf_counter() - answered
            return {"upload": answered - began, "model": seconds, "version": told.json()["model_version"]}
        time.sleep(POLL_SECONDS)
    raise SystemExit(f"no model answered within {waited:.0f} s: {told.status_code} {told.text[:300]}")


def end_runs(client: httpx.Client, project: str) -> None:
    """Ends the full search that follows a first model, so that the next measurement has the machine to itself."""
    until = time.perf_counter() + GIVE_UP_SECONDS
    while time.perf_counter() < until:
        runs = client.get(f"/v1/projects/{project}/runs").json()["runs"]
        under_way = [run["run"] for run in runs if run["status"] in ("queued", "running")]
        if len(runs) > 1 and not under_way:
            return
        for run in under_way if len(runs) > 1 else ():
            client.post(f"/v1/projects/{project}/runs/{run}/cancel")
        time.sleep(0.5)
    raise SystemExit(f"the runs of {project} did not end")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="first-model-") as made:
        folder, port = Path(made), free_port()
        rows = rows_of(asked.rows)
        file = folder / "flights.csv"
        rows.to_csv(file, index=False)
        row = json.loads(rows.tail(1)[[ID, TIME, *FEATURES]].to_json(orient="records", date_format="iso"))[0]
        command = [sys.executable, "-m", "service.cli", "serve", "--port", str(port)]
        command += ["--home", str(folder / "home")]
        lines = []
        server = Server("incumbent", command, port=port, ready="/readyz", log=folder / "log")
        try:
            server.wait()
            with httpx.Client(base_url=server.url, timeout=60) as client:
                for at in range(asked.times):
                    lines.append(once(client, f"flights-{at}", file, row))
                    sys.stderr.write(json.dumps(lines[-1]) + "\n")
                    if at + 1 < asked.times:
                        end_runs(client, f"flights-{at}")
        finally:
            server.stop()
    print(
        "| upload of 10,000 rows | first answer of a model after that |".replace("10,000", f"{asked.rows:,}")
    )
    print("|---|---|")
    for line in lines:
        print(f"| {line['upload']:.1f} s | {line['model']:.1f} s |")
    seconds = [line["model"] for line in lines]
    print(f"\nmedian {median(seconds):.1f} s, longest {max(seconds):.1f} s")
    if asked.json:
        asked.json.write_text(json.dumps(lines, indent=1))


if __name__ == "__main__":
    main()
