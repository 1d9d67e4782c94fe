"""Trains the plain pipeline in a peer's own environment: ``fit.py TRAIN_CSV FOLDER [mlflow]``"""

import pickle
import sys
from pathlib import Path

from benchmarks.serving.material import fit_plain

if __name__ == "__main__":
    train, folder = Path(sys.argv[1]), Path(sys.argv[2])
    pipeline = fit_plain(train)
    (folder / "plain.pickle").write_bytes(pickle.dumps(pipeline))
    if sys.argv[3:] == ["mlflow"]:
        import mlflow

        # Without a signature: its checks would only cost time here.
        mlflow.sklearn.save_model(
            pipeline,
            str(folder / "model"),
            pyfunc_predict_fn="predict_proba",
            serialization_format="cloudpickle",
            pip_requirements=["scikit-learn", "lightgbm"],
        )
