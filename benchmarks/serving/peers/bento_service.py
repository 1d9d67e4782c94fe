"""BentoML with its adaptive batching; the folder of the model is in ``BENCH_FOLDER``."""

import os
import pickle
from pathlib import Path
from typing import Any

import bentoml
import pandas as pd

from benchmarks.serving.material import CLASSES, FEATURES


@bentoml.service(workers=1, traffic={"timeout": 120})
class Plain:
    def __init__(self) -> None:
        self.pipeline = pickle.loads((Path(os.environ["BENCH_FOLDER"]) / "plain.pickle").read_bytes())

    # As many rows in a batch as ours takes; the default of 100 refuses a call of 1,000 rows.
    @bentoml.api(batchable=True, max_batch_size=2_000, max_latency_ms=60_000)
    def predict(self, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        shares = self.pipeline.predict_proba(pd.DataFrame(rows, columns=list(FEATURES)))
        return [
            {
                "value": CLASSES[int(row.argmax())],
                "probabilities": dict(zip(CLASSES, row.tolist(), strict=True)),
            }
            for row in shares
        ]
