"""MLServer's custom runtime, as its own for scikit-learn takes one array and no named columns."""

import pickle
from pathlib import Path

import numpy as np
import pandas as pd
from mlserver import MLModel
from mlserver.codecs import NumpyCodec, StringCodec
from mlserver.types import InferenceRequest, InferenceResponse

from benchmarks.serving.material import FEATURES


class Plain(MLModel):
    async def load(self) -> bool:
        folder = Path(self._settings.parameters.uri)
        self.pipeline = pickle.loads((folder / "plain.pickle").read_bytes())
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        columns = {}
        for one in payload.inputs:
            if one.datatype == "BYTES":
                columns[one.name] = StringCodec.decode_input(one)
            else:
                columns[one.name] = np.asarray(NumpyCodec.decode_input(one), dtype=np.float64).ravel()
        shares = self.pipeline.predict_proba(pd.DataFrame(columns, columns=list(FEATURES)))
        return InferenceResponse(
            model_name=self.name, outputs=[NumpyCodec.encode_output("probabilities", shares)]
        )
