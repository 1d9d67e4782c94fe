"""Data frames in and out of a real server, and estimators that predict through it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from wire_house import House, rows_of, serving

from service.client import AsyncIncumbent, Incumbent, IncumbentError
from service.estimator import RemoteClassifier, RemoteRegressor, remote_model


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    projects: dict[str, dict[str, Any]] = {
        "fruit": {"compiled": True},
        "three": {"compiled": True, "kind": "three"},
        "weight": {"compiled": True, "kind": "number"},
    }
    with serving(tmp_path_factory.mktemp("frames"), projects, flush_seconds=0.3) as made:
        yield made


def fruit(count: int, seed: int = 9) -> pd.DataFrame:
    """As people have them: categories, times, gaps, and an index of its own."""
    frame = rows_of(count, seed).to_pandas()
    frame["picked"] = pd.to_datetime(frame["picked"])
    frame["colour"] = frame["colour"].astype("category")
    return frame.set_index(pd.Index(range(100, 100 + count)))


def test_a_frame_is_answered_by_a_frame_with_its_index(house: House) -> None:
    frame = fruit(40).drop(columns="ripe")
    with Incumbent(house.url) as client:
        found = client.predict_frame("fruit", frame)
        rows = client.predict("fruit", frame)["predictions"]
    assert found.index.tolist() == frame.index.tolist()
    assert found.columns.tolist() == ["id", "value", "probability_no", "probability_yes"]
    assert found["id"].tolist() == frame["ref"].tolist() == [row["id"] for row in rows]
    assert found["value"].tolist() == [row["value"] for row in rows]
    assert np.allclose(found["probability_yes"], [row["probabilities"]["yes"] for row in rows])
    assert found.attrs == {"model_version": 1, "classes": ["no", "yes"]}


def test_rows_at_fault_are_answered_by_nulls_where_asked_for(house: House) -> None:
    frame = fruit(5).drop(columns="ripe").astype({"count": object})
    frame.loc[102, "count"] = "many"
    frame["count"] = frame["count"].astype(str)
    with Incumbent(house.url) as client:
        found = client.predict_frame("fruit", frame, errors="null", log=False)
        with pytest.raises(IncumbentError) as refused:
            client.predict_frame("fruit", frame, log=False)
    assert found["value"].isna().tolist() == [False, False, True, False, False]
    assert np.isnan(found.loc[102, "probability_yes"])
    assert "count" in found.loc[102, "error"]
    assert refused.value.field == "rows[2].count"


def test_a_frame_is_uploaded_and_a_series_tells_the_truth(house: House) -> None:
    frame = fruit(30, seed=21)
    with Incumbent(house.url) as client:
        stored = client.upload("fruit", frame)
        assert (stored["rows"], stored["labelled"]) == (30, 30)
        unlabelled = fruit(10, seed=22).drop(columns="ripe")
        client.upload("fruit", unlabelled)
        truth = pd.Series(["yes"] * 10, index=unlabelled["ref"])
        assert client.feedback("fruit", truth, origin="crm")["accepted"] == 10
        with pytest.raises(TypeError, match="must be text"):
            client.upload("fruit", pd.DataFrame({0: [1]}))


def test_frames_go_through_the_awaiting_client_alike(house: House) -> None:
    frame = fruit(12).drop(columns="ripe")

    async def ask() -> pd.DataFrame:
        async with AsyncIncumbent(house.url) as client:
            return await client.predict_frame("fruit", frame, log=False)

    with Incumbent(house.url) as client:
        pd.testing.assert_frame_equal(asyncio.run(ask()), client.predict_frame("fruit", frame, log=False))


def test_a_classifier_predicts_and_scores_through_the_service(house: House) -> None:
    frame = fruit(200)
    model = RemoteClassifier("fruit", url=house.url).fit()
    assert is_classifier(model)
    assert model.classes_.tolist() == ["no", "yes"]
    chances = model.predict_proba(frame)
    assert chances.shape == (200, 2)
    assert np.allclose(chances.sum(axis=1), 1)
    assert (model.predict(frame) == model.classes_[chances.argmax(axis=1)]).all()
    assert model.score(frame, frame["ripe"]) > 0.8
    pipeline = make_pipeline(FunctionTransformer(), clone(model))
    assert cross_val_score(pipeline, frame.drop(columns="ripe"), frame["ripe"], cv=3).mean() > 0.8


def test_three_classes_keep_their_order(house: House) -> None:
    model = remote_model("three", url=house.url)
    assert isinstance(model, RemoteClassifier)
    assert model.predict_proba(fruit(20)).shape == (20, len(model.classes_))


def test_a_regressor_predicts_numbers_and_columns_that_no_model_reads_may_be_left_out(house: House) -> None:
    frame = fruit(100)
    model = remote_model("weight", url=house.url)
    assert isinstance(model, RemoteRegressor)
    assert is_regressor(model)
    assert "ref" not in model.feature_names_in_
    asked = frame.drop(columns=["count", "ref"])
    assert np.isfinite(model.predict(asked)).all()
    matrix = asked[list(model.feature_names_in_)].astype(object).to_numpy()
    assert np.allclose(model.predict(matrix), model.predict(asked))
    with pytest.raises(ValueError, match=r"expects \d+ columns"):
        model.predict(matrix[:, :2])


def test_what_is_not_logged_leaves_no_trace_and_what_is_can_be_told_the_truth_of(house: House) -> None:
    def logged() -> int:
        house.app.state.context.observation.flush()
        return int(house.http.get("/v1/projects/three").json()["data"]["predictions"])

    before = logged()
    remote_model("three", url=house.url).predict(fruit(7))
    assert logged() == before
    remote_model("three", url=house.url, log=True).predict(fruit(7))
    assert logged() == before + 7


def test_the_wrong_kind_and_no_fit_are_said(house: House) -> None:
    with pytest.raises(ValueError, match="remote_model"):
        RemoteRegressor("fruit", url=house.url).fit()
    with pytest.raises(NotFittedError):
        RemoteClassifier("fruit", url=house.url).predict(fruit(2))
    with pytest.raises(IncumbentError) as unknown:
        remote_model("nothing", url=house.url)
    assert unknown.value.status == 404
