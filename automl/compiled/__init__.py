"""Fitted pipelines compiled for serving; :func:`compile_pipeline` is the door, :func:`parity` the guard."""

from automl.compiled.form import Compiled, NotCompiled, compile_pipeline
from automl.compiled.parity import Parity, parity

__all__ = ["Compiled", "NotCompiled", "Parity", "compile_pipeline", "parity"]
