"""Fitted pipelines compiled for serving; :func:`compile_pipeline` is the door."""

from automl.compiled.form import Compiled, NotCompiled, compile_pipeline

__all__ = ["Compiled", "NotCompiled", "compile_pipeline"]
