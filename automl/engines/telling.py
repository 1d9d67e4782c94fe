"""What several threads tell one listener, and how it ends them."""

from __future__ import annotations

import threading
from collections.abc import Callable

from automl.engines.protocol import Trial
from automl.engines.trials import SearchOver


class Telling:
    """Tells one trial after the other; what the listener raises ends the search, and is raised again by ``check``."""

    def __init__(self, report: Callable[[Trial], None]) -> None:
        self._report = report
        self._one_by_one = threading.Lock()
        self._broken: BaseException | None = None

    def __call__(self, trial: Trial) -> None:
        with self._one_by_one:
            if self._broken is not None:
                raise SearchOver("the search was ended")
            try:
                self._report(trial)
            except BaseException as error:
                self._broken = error
                raise SearchOver("the search was ended") from error

    def check(self) -> None:
        if self._broken is not None:
            raise self._broken
