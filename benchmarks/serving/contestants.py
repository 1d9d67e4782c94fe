"""The servers that are compared: how each is started, asked and understood."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.serving import house, material
from benchmarks.serving.environments import ENVIRONMENTS
from benchmarks.serving.servers import Server, free_port, run

PEERS = Path(__file__).resolve().parent / "peers"
Rows = Sequence[dict[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Contestant:
    """``start`` prepares what it serves in a folder of its own and starts it; ``shares`` reads P(yes) of each row from
    an answer, None where an answer says nothing."""

    name: str
    told: str
    path: str
    start: Callable[[Path], Server]
    body: Callable[[Rows], bytes]
    shares: Callable[[bytes], list[float]] | None
    environment: str | None = None

    def request(self, rows: Rows, *, size: int = 0) -> bytes:
        """A whole HTTP request for these rows; ``size`` is that of the answer that an echo is to give."""
        return http_request(self.path.replace("{size}", str(size)), self.body(rows))


def http_request(path: str, body: bytes, media_type: str = "application/json") -> bytes:
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: {media_type}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def _records(rows: Rows) -> bytes:
    return json.dumps({"rows": rows}).encode()


def _split(rows: Rows) -> bytes:
    """MLflow's leaner form: the names once."""
    data = [list(row.values()) for row in rows]
    return json.dumps({"dataframe_split": {"columns": list(material.FEATURES), "data": data}}).encode()


def _tensors(rows: Rows) -> bytes:
    """Open Inference Protocol: one input a column, as its batching joins them."""
    inputs = [
        {
            "name": name,
            "shape": [len(rows), 1],
            "datatype": "FP64" if name in material.NUMBERS else "BYTES",
            "data": [row[name] for row in rows],
        }
        for name in material.FEATURES
    ]
    return json.dumps({"inputs": inputs}).encode()


def _yes(said: list[Any]) -> list[float]:
    return [one["probabilities"]["yes"] for one in said]


# -- starting --------------------------------------------------------------------------------------------


def _fitted(folder: Path, environment: str, *more: str) -> tuple[Path, Path]:
    """The interpreter of a peer and its folder, with the model trained by that very interpreter."""
    work = folder.parent.parent
    python = Path(sys.executable) if environment == "ours" else ENVIRONMENTS[environment].python(work)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    material.write_train(folder / "train.csv")
    command = [str(python), str(PEERS / "fit.py"), str(folder / "train.csv"), str(folder), *more]
    run(command, folder / "log")
    return python, folder


def _echo(folder: Path) -> Server:
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    command = [sys.executable, str(PEERS / "echo.py"), str(port)]
    return Server("echo", command, port=port, ready="/20", log=folder / "log")


def _naive(folder: Path) -> Server:
    python, folder = _fitted(folder, "ours")
    port = free_port()
    command = [str(python), str(PEERS / "naive.py"), str(port), str(folder)]
    return Server("naive", command, port=port, ready="/ready", log=folder / "log")


def _mlflow(folder: Path) -> Server:
    python, folder = _fitted(folder, "mlflow", "mlflow")
    port = free_port()
    options = ["--host", "127.0.0.1", "--port", str(port), "--workers", "1", "--env-manager", "local"]
    command = [str(python), "-m", "mlflow", "models", "serve", "-m", str(folder / "model"), *options]
    return Server("mlflow", command, port=port, ready="/ping", log=folder / "log", **_first(python))


def _bentoml(folder: Path) -> Server:
    python, folder = _fitted(folder, "bentoml")
    port = free_port()
    options = ["--host", "127.0.0.1", "--port", str(port), "--working-dir", str(PEERS)]
    command = [str(python), "-m", "bentoml", "serve", "bento_service:Plain", *options]
    kept = {"BENCH_FOLDER": str(folder), "BENTOML_HOME": str(folder / "bentoml")}
    return Server(
        "bentoml", command, port=port, ready="/readyz", log=folder / "log", **kept, **_first(python)
    )


def _mlserver(folder: Path) -> Server:
    python, folder = _fitted(folder, "mlserver")
    port = free_port()
    settings = {
        "host": "127.0.0.1",
        "http_port": port,
        "grpc_port": free_port(),
        "metrics_endpoint": None,
        # Its default, one worker process beside the server, adds a copy of each batch and one more process.
        "parallel_workers": 0,
        "debug": False,
    }
    model = {
        "name": "plain",
        "implementation": "benchmarks.serving.peers.mlserver_model.Plain",
        "parameters": {"uri": str(folder)},
        "max_batch_size": 256,
        "max_batch_time": 0.005,
    }
    (folder / "settings.json").write_text(json.dumps(settings))
    (folder / "model-settings.json").write_text(json.dumps(model))
    command = [str(python), "-c", "from mlserver.cli import main; main()", "start", str(folder)]
    ready = "/v2/models/plain/ready"
    return Server("mlserver", command, port=port, ready=ready, log=folder / "log", **_first(python))


def _first(python: Path) -> dict[str, str]:
    """The peer's own commands before ours: some start others by name."""
    import os

    return {"PATH": f"{python.parent}{os.pathsep}{os.environ['PATH']}"}


def start_ours(home: Path, *, log: Path, **settings: str) -> Server:
    """``incumbent serve`` on a home folder, as anyone starts it."""
    port = free_port()
    command = [sys.executable, "-m", "service.cli", "serve", "--port", str(port), "--home", str(home)]
    return Server("incumbent", command, port=port, ready="/readyz", log=log, **settings)


def _ours(kind: str) -> Callable[[Path], Server]:
    def start(folder: Path) -> Server:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        made = house.House(folder / "home")
        made.add_model(made.add_project(kind), made.fit(kind=kind))
        made.close()
        return start_ours(folder / "home", log=folder / "log")

    return start


def _same(data: bytes) -> list[float]:
    return _yes(json.loads(data)["predictions"])


CONTESTANTS = (
    Contestant(
        name="echo",
        told="uvicorn alone: reads the body, answers as many fixed bytes as we do; our own uvicorn settings",
        path="/{size}",
        start=_echo,
        body=_records,
        shares=None,
    ),
    Contestant(
        name="incumbent",
        told="`incumbent serve`; validation, ids, durable log and metrics on; the model compiled",
        path=f"/v1/projects/{house.COMPILED}/predict",
        start=_ours(house.COMPILED),
        body=_records,
        shares=_same,
    ),
    Contestant(
        name="incumbent, own steps",
        told="the same with a step before the trees that no compiler knows: features compiled, and batches",
        path=f"/v1/projects/{house.OWN}/predict",
        start=_ours(house.OWN),
        body=_records,
        shares=_same,
    ),
    Contestant(
        name="incumbent, not compiled",
        told="the same with such a step before the features: pandas, the whole pipeline, and batches",
        path=f"/v1/projects/{house.OPAQUE}/predict",
        start=_ours(house.OPAQUE),
        body=_records,
        shares=_same,
    ),
    Contestant(
        name="naive",
        told="FastAPI, pydantic, a DataFrame and the pipeline for each call",
        path="/predict",
        start=_naive,
        body=_records,
        shares=_same,
    ),
    Contestant(
        name="mlflow",
        told="`mlflow models serve`, one worker, no signature to check, dataframe_split",
        path="/invocations",
        start=_mlflow,
        body=_split,
        shares=lambda data: [row[1] for row in json.loads(data)["predictions"]],
        environment="mlflow",
    ),
    Contestant(
        name="bentoml",
        told="batchable=True with its adaptive batching, one worker",
        path="/predict",
        start=_bentoml,
        body=_records,
        shares=lambda data: _yes(json.loads(data)),
        environment="bentoml",
    ),
    Contestant(
        name="mlserver",
        told="custom runtime, batches of 256 within 5 ms, parallel_workers=0",
        path="/v2/models/plain/infer",
        start=_mlserver,
        body=_tensors,
        shares=lambda data: json.loads(data)["outputs"][0]["data"][1::2],
        environment="mlserver",
    ),
)
BY_NAME = {one.name: one for one in CONTESTANTS}
PEERS_TO_BEAT = ("mlflow", "bentoml", "mlserver")
