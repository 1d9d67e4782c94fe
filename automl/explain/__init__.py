"""Why a model says what it says of one row: contributions in the caller's columns that add up to its raw score."""

from automl.explain.explainer import Explainer
from automl.explain.explanation import Explanations, Method, Scale

__all__ = ["Explainer", "Explanations", "Method", "Scale"]
