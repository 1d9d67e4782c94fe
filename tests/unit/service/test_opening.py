"""Files of models from elsewhere: which are read, which not before somebody vouches for them, which not at all."""

from __future__ import annotations

import hashlib
import json
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from skops import io

from service.mlflow_models.opening import Unreadable, Untrusted, opened, source

X, Y = np.arange(20.0).reshape(10, 2), np.arange(10) % 2


def model() -> Any:
    return make_pipeline(StandardScaler(), LogisticRegression()).fit(X, Y)


def shifted(X: Any) -> Any:
    return X + 1


def test_a_pickle_is_read_only_when_it_is_trusted(tmp_path: Path) -> None:
    file = tmp_path / "model.pkl"
    file.write_bytes(pickle.dumps(model()))
    found = source(file)
    assert (found.kind, found.sha256) == ("pickle", hashlib.sha256(file.read_bytes()).hexdigest())
    with pytest.raises(Untrusted, match="runs code"):
        opened(found, trust=False)
    np.testing.assert_array_equal(opened(found, trust=True).predict_proba(X), model().predict_proba(X))


def test_skops_needs_no_trust_for_types_of_served_packages_and_names_the_others(tmp_path: Path) -> None:
    file = tmp_path / "model.skops"
    io.dump(model(), file)
    np.testing.assert_array_equal(
        opened(source(file), trust=False).predict_proba(X), model().predict_proba(X)
    )
    io.dump(make_pipeline(FunctionTransformer(shifted), LogisticRegression()).fit(X, Y), file)
    with pytest.raises(Untrusted, match=r"test_opening\.shifted"):
        opened(source(file), trust=False)


@pytest.mark.parametrize(
    "name",
    [
        "sklearn.utils._testing.check_output",  # subprocess's own
        "sklearn.utils._testing.assert_run_python_script_without_output",
        "sklearn.model_selection._search.MaskedArray",  # a class, but numpy's
        "sklearn.gone.Class",
        "sklearn.linear_model.Gone",
    ],
)
def test_what_a_served_package_only_passes_on_or_its_functions_are_not_trusted(
    name: str, tmp_path: Path
) -> None:
    file = tmp_path / "model.skops"
    io.dump(FunctionTransformer(shifted), file)
    forged(file, name)
    with pytest.raises(Untrusted, match=name.replace(".", r"\.")):
        opened(source(file), trust=False)


def forged(file: Path, name: str) -> None:
    """The function in the file becomes the one of this name."""

    def changed(node: dict[str, Any]) -> dict[str, Any]:
        if node.get("__class__") != "shifted":
            return node
        module, _, attribute = name.rpartition(".")
        return {**node, "__class__": attribute, "__module__": module}

    with zipfile.ZipFile(file) as archive:
        schema = json.loads(archive.read("schema.json"), object_hook=changed)
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("schema.json", json.dumps(schema))


@pytest.mark.parametrize(
    "estimator",
    [
        RandomForestClassifier(3),
        HistGradientBoostingClassifier(max_iter=3),
    ],
    ids=lambda one: type(one).__name__,
)
def test_the_inner_classes_of_served_packages_need_no_trust(estimator: Any, tmp_path: Path) -> None:
    file = tmp_path / "model.skops"
    fitted = estimator.fit(X, Y)
    io.dump(fitted, file)
    assert io.get_untrusted_types(file=file)
    np.testing.assert_array_equal(opened(source(file), trust=False).predict_proba(X), fitted.predict_proba(X))


def test_mlflows_folder_leads_to_its_pickle_and_to_nothing_outside_of_it(tmp_path: Path) -> None:
    folder = tmp_path / "saved"
    folder.mkdir()
    (folder / "model.pkl").write_bytes(pickle.dumps(model()))
    describe(folder, "model.pkl")
    assert source(folder).path == (folder / "model.pkl").resolve()
    (tmp_path / "outside.pkl").write_bytes(b"")
    describe(folder, "../outside.pkl")
    with pytest.raises(Unreadable, match="outside of its folder"):
        source(folder)
    (folder / "MLmodel").write_text("flavors: {python_function: {}}")
    with pytest.raises(Unreadable, match="names no scikit-learn model"):
        source(folder)


def describe(folder: Path, name: str) -> None:
    (folder / "MLmodel").write_text(f"flavors:\n  sklearn:\n    pickled_model: {name}\n")


def test_what_is_no_model_is_said_with_what_would_be(tmp_path: Path) -> None:
    with pytest.raises(Unreadable, match="there is no file"):
        source(tmp_path / "none.pkl")
    with pytest.raises(Unreadable, match="holds no MLmodel"):
        source(tmp_path)
    other = tmp_path / "model.onnx"
    other.write_bytes(b"x")
    with pytest.raises(Unreadable, match="no model that is known here"):
        source(other)
    for name in ("broken.pkl", "broken.skops"):
        (tmp_path / name).write_bytes(b"nothing of the kind")
        with pytest.raises(Unreadable, match="can't be read"):
            opened(source(tmp_path / name), trust=True)


def test_what_mlflow_itself_saved_is_read(tmp_path: Path) -> None:
    sklearn = pytest.importorskip(
        "mlflow.sklearn", reason="mlflow is not installed: pip install 'incumbent[mlflow]'"
    )
    sklearn.save_model(model(), str(tmp_path / "saved"), pip_requirements=[], serialization_format="pickle")
    read = opened(source(tmp_path / "saved"), trust=True)
    np.testing.assert_array_equal(read.predict_proba(X), model().predict_proba(X))
