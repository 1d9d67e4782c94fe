"""The pipeline of a model that is served by its stored compiled form: still in the blob store until it is needed."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any


class StoredPipeline:
    """Stands for a fitted pipeline, and opens it when something is first asked of it.

    ``open`` gives the pipeline, checked like any that serves, or raises; after a failure the next question tries again.
    May be asked by many threads.
    """

    def __init__(self, open: Callable[[], Any]) -> None:
        self._open = open
        self._lock = threading.Lock()
        self._pipeline: Any = None

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # nobody copies or pickles a pipeline by way of this
            raise AttributeError(name)
        return getattr(self._opened(), name)

    def __getitem__(self, part: Any) -> Any:
        return self._opened()[part]

    def _opened(self) -> Any:
        with self._lock:
            if self._pipeline is None:
                self._pipeline = self._open()
            return self._pipeline
