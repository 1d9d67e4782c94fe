"""What is written first: FastAPI, a pydantic model of a row, a DataFrame, the pipeline. ``naive.py PORT FOLDER``"""

import pickle
import sys
from pathlib import Path

import pandas as pd
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel, create_model

from benchmarks.serving.material import CATEGORIES, CLASSES, FEATURES, NUMBERS

FIELDS = dict.fromkeys(NUMBERS, (float | None, ...)) | dict.fromkeys(CATEGORIES, (str | None, ...))
Row = create_model("Row", **FIELDS)


class Call(BaseModel):
    rows: list[Row]


class Prediction(BaseModel):
    value: str
    probabilities: dict[str, float]


class Answer(BaseModel):
    predictions: list[Prediction]


app = FastAPI()


@app.get("/ready")
def ready() -> bool:
    return True


@app.post("/predict")
def predict(call: Call) -> Answer:
    frame = pd.DataFrame([row.model_dump() for row in call.rows], columns=list(FEATURES))
    shares = app.state.pipeline.predict_proba(frame)
    return Answer(
        predictions=[
            Prediction(value=CLASSES[int(row.argmax())], probabilities=dict(zip(CLASSES, row, strict=True)))
            for row in shares
        ]
    )


if __name__ == "__main__":
    app.state.pipeline = pickle.loads((Path(sys.argv[2]) / "plain.pickle").read_bytes())
    uvicorn.run(
        app,
        host="127.0.0.1",
        port=int(sys.argv[1]),
        loop="uvloop",
        http="httptools",
        access_log=False,
        log_config=None,
    )
