"""Fitted pipelines compiled for serving: :class:`Compiled` is what serves.

:mod:`automl.compiled.compiling` makes it, :mod:`automl.compiled.parity` guards it and :mod:`automl.compiled.packing`
keeps it. What serves needs no scikit-learn, so that none is imported here.
"""

from automl.compiled.form import Compiled, NotCompiled

__all__ = ["Compiled", "NotCompiled"]
