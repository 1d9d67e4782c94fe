"""LightGBM's own predictor, called past its Python package: one row in a few microseconds."""

from __future__ import annotations

import ctypes
import threading
import weakref
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from automl.compiled.bit_trees import BitTrees, bit_trees
from automl.compiled.unknown import Unknown

Floats = npt.NDArray[np.float64]

_FLOAT32, _FLOAT64, _ROW_MAJOR = 0, 1, 1
_PARAMETERS = b"num_threads=1"
BITS_FROM = 8
"""Rows from which :mod:`automl.compiled.bit_trees` is quicker."""
NORMAL, LEAF = 0, 2


@cache
def _libraries() -> tuple[Any, Any]:
    """LightGBM's library twice: calls that keep the interpreter's lock (shorter than giving it away and taking it
    back), and calls that give it away."""
    from lightgbm.basic import _LIB  # the library that LightGBM itself has loaded

    held, freed = ctypes.PyDLL(_LIB._name), ctypes.CDLL(_LIB._name)
    pointer, number = ctypes.c_void_p, ctypes.c_int
    held.LGBM_GetLastError.restype = ctypes.c_char_p
    held.LGBM_BoosterPredictForMatSingleRowFastInit.argtypes = [
        pointer, number, number, number, number, ctypes.c_int32, ctypes.c_char_p, pointer
    ]  # fmt: skip
    held.LGBM_BoosterPredictForMatSingleRowFast.argtypes = [pointer, ctypes.c_char_p, pointer, pointer]
    held.LGBM_FastConfigFree.argtypes = [pointer]
    freed.LGBM_BoosterPredictForMat.argtypes = [
        pointer, pointer, number, ctypes.c_int32, ctypes.c_int32, number, number, number, number,
        ctypes.c_char_p, pointer, pointer,
    ]  # fmt: skip
    return held, freed


class NativeTrees:
    """A LightGBM booster's answers, (n, outputs), in one thread."""

    def __init__(
        self,
        booster: Any,
        *,
        features: int,
        outputs: int,
        kind: int = NORMAL,
        iterations: int = -1,
        float32: bool = False,
    ) -> None:
        if booster.num_feature() != features:
            raise Unknown(f"the trees take {booster.num_feature()} features, {features} are made")
        self.outputs = outputs
        self._booster = booster  # its handle must live as long as this
        self._handle = booster._handle
        self._features = features
        self._kind = kind
        self._iterations = iterations
        self._dtype: Any = np.float32 if float32 else np.float64
        self._type = _FLOAT32 if float32 else _FLOAT64
        self._held, self._freed = _libraries()
        self._fast = self._held.LGBM_BoosterPredictForMatSingleRowFast
        self._own = threading.local()
        self._bits: BitTrees | None = None
        if kind == NORMAL:
            self._bits = bit_trees(booster.model_to_string(num_iteration=iterations), outputs=outputs)

    def one(self, features: bytes) -> Any:
        """One row's outputs. The array belongs to this thread and lasts until its next call."""
        try:
            single = self._own.single
        except AttributeError:
            single = self._own.single = _Single(self)
        if self._type == _FLOAT32:
            features = np.frombuffer(features).astype(np.float32).tobytes()
        if self._fast(single.config, features, single.count_at, single.out_at):
            raise RuntimeError(self._held.LGBM_GetLastError().decode())
        return single.out

    def many(self, features: Floats) -> Floats:
        rows, width = features.shape
        features = np.ascontiguousarray(features, dtype=self._dtype)
        if self._bits is not None and rows >= BITS_FROM and not np.isnan(features.sum()):
            answers = self._bits(features)
            if answers is not None:
                return answers
        out = np.empty((rows, self.outputs))
        if not rows:
            return out
        count = ctypes.c_int64(0)
        failed = self._freed.LGBM_BoosterPredictForMat(
            self._handle, features.ctypes.data, self._type, rows, width, _ROW_MAJOR, self._kind, 0,
            self._iterations, _PARAMETERS, ctypes.addressof(count), out.ctypes.data,
        )  # fmt: skip
        if failed or count.value != out.size:
            raise RuntimeError(self._held.LGBM_GetLastError().decode() if failed else "answers are missing")
        return out


class _Single:
    """What one thread needs for single rows: LightGBM's prepared call and where it puts the answer."""

    def __init__(self, trees: NativeTrees) -> None:
        held = trees._held
        config = ctypes.c_void_p()
        failed = held.LGBM_BoosterPredictForMatSingleRowFastInit(
            trees._handle, trees._kind, 0, trees._iterations, trees._type, trees._features, _PARAMETERS,
            ctypes.addressof(config),
        )  # fmt: skip
        if failed:
            raise RuntimeError(held.LGBM_GetLastError().decode())
        self.config = config
        self._count = ctypes.c_int64(0)
        self.count_at = ctypes.addressof(self._count)
        self.out = (ctypes.c_double * trees.outputs)()
        self.out_at = ctypes.addressof(self.out)
        self._booster = trees._booster
        weakref.finalize(self, held.LGBM_FastConfigFree, config)
