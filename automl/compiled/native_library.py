"""LightGBM's library by itself: its Python package brings scikit-learn, SciPy and pandas, nine tenths of a second."""

from __future__ import annotations

import ctypes
import weakref
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any


@cache
def libraries() -> tuple[Any, Any]:
    """The library twice: calls that keep the interpreter's lock (shorter than giving it away and taking it back), and
    calls that give it away."""
    path = _path()
    held, freed = ctypes.PyDLL(path), ctypes.CDLL(path)
    pointer, number = ctypes.c_void_p, ctypes.c_int
    held.LGBM_GetLastError.restype = ctypes.c_char_p
    held.LGBM_BoosterPredictForMatSingleRowFastInit.argtypes = [
        pointer, number, number, number, number, ctypes.c_int32, ctypes.c_char_p, pointer
    ]  # fmt: skip
    held.LGBM_BoosterPredictForMatSingleRowFast.argtypes = [pointer, ctypes.c_char_p, pointer, pointer]
    held.LGBM_FastConfigFree.argtypes = [pointer]
    held.LGBM_BoosterGetNumFeature.argtypes = [pointer, pointer]
    freed.LGBM_BoosterLoadModelFromString.argtypes = [ctypes.c_char_p, pointer, pointer]
    freed.LGBM_BoosterFree.argtypes = [pointer]
    freed.LGBM_BoosterPredictForMat.argtypes = [
        pointer, pointer, number, ctypes.c_int32, ctypes.c_int32, number, number, number, number,
        ctypes.c_char_p, pointer, pointer,
    ]  # fmt: skip
    return held, freed


def _path() -> str:
    """The very file that LightGBM loads, so that both share one copy."""
    spec = find_spec("lightgbm")
    for folder in spec.submodule_search_locations or () if spec is not None else ():
        for found in sorted(Path(folder).glob("lib/lib_lightgbm.*")):
            return str(found.resolve())
    from lightgbm.basic import _LIB  # late: only where it lies elsewhere, as in a build of one's own

    return str(_LIB._name)


class Booster:
    """A model in LightGBM's text format, read by its library. Freed with its last reference."""

    def __init__(self, text: bytes) -> None:
        held, freed = libraries()
        handle, iterations = ctypes.c_void_p(), ctypes.c_int(0)
        if freed.LGBM_BoosterLoadModelFromString(text, ctypes.byref(iterations), ctypes.byref(handle)):
            raise ValueError(held.LGBM_GetLastError().decode())
        self.handle = handle
        weakref.finalize(self, freed.LGBM_BoosterFree, handle)
        count = ctypes.c_int(0)
        held.LGBM_BoosterGetNumFeature(handle, ctypes.byref(count))
        self.features = count.value
