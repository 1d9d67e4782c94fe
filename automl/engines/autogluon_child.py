"""AutoGluon in the Python it lives in: ``python -I autogluon_child.py``, run by its path.

Imports nothing of the project, which is not installed there. Says ``ready`` when AutoGluon is imported, reads one
request as a line of JSON, and tells each model as it is trained, then the weighted ensemble. Ends when its parent does.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from pathlib import Path
from typing import Any

# AutoGluon and its libraries print: what they say goes to the log, the answers keep the pipe to themselves.
ANSWERS = os.fdopen(os.dup(1), "w", buffering=1)
os.dup2(2, 1)

import pandas as pd  # noqa: E402
from autogluon.core.callbacks import AbstractCallback  # noqa: E402
from autogluon.features.generators import IdentityFeatureGenerator  # noqa: E402
from autogluon.tabular import TabularPredictor  # noqa: E402
from autogluon.tabular.configs.hyperparameter_configs import get_hyperparameter_config  # noqa: E402

KINDS = ("GBM", "XGB", "RF", "XT")
"""AutoGluon's names of the models that can be built again outside of it."""
_LABEL, _WEIGHT = "label", "weight"


class Teller(AbstractCallback):  # type: ignore[misc]
    """Tells each model of these kinds as it is trained; ends the training after ``most`` of them."""

    def __init__(self, most: int | None) -> None:
        super().__init__()
        self._most = most
        self._told = 0

    def after_model_fit(self, trainer: Any, model_names: list[str], **_: Any) -> bool:
        for name in model_names:
            model = trainer.load_model(name)
            kind = getattr(model, "ag_key", None)
            if kind in KINDS:
                self._told += 1
                params = {**model.params, **model.params_trained}
                score = trainer.get_model_attribute(name, "val_score")
                tell("model", name=name, kind=kind, params=params, score=score)
        return self._most is not None and self._told >= self._most


def tell(event: str, **facts: Any) -> None:
    ANSWERS.write(json.dumps({"event": event, **facts}, default=float) + "\n")


def main() -> None:
    tell("ready")
    line = sys.stdin.readline()
    if not line:
        return
    threading.Thread(target=_die_with_parent, daemon=True).start()
    _fit(json.loads(line))
    tell("done")


def _die_with_parent() -> None:
    sys.stdin.read()
    os._exit(0)


def _fit(asked: dict[str, Any]) -> None:
    folder = Path(asked["folder"])
    train, valid = (pd.read_parquet(folder / f"{part}.parquet") for part in ("train", "valid"))
    portfolio = get_hyperparameter_config("zeroshot")
    predictor = TabularPredictor(
        label=_LABEL,
        problem_type=asked["problem"],
        eval_metric=asked["metric"],
        path=str(folder / "predictor"),
        sample_weight=_WEIGHT if _WEIGHT in train else None,
        verbosity=0,
    )
    predictor.fit(
        train,
        tuning_data=valid if len(valid) else None,
        hyperparameters={kind: portfolio[kind] for kind in KINDS},
        feature_generator=IdentityFeatureGenerator(),
        time_limit=asked["seconds"],
        callbacks=[Teller(asked["models"])],
        num_cpus=1,
        num_gpus=0,
    )
    best = predictor._trainer.load_model(predictor.model_best)
    weights = best._get_model_weights() if hasattr(best, "_get_model_weights") else {best.name: 1.0}
    tell("ensemble", weights={name: float(share) for name, share in weights.items()})


if __name__ == "__main__":
    main()
