"""Training that ends in time by giving up."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from func_timeout import FunctionTimedOut, func_timeout


def within(
    seconds: float, call: Callable[..., Any], *arguments: Any, named: Mapping[str, Any] | None = None
) -> Any:
    """The call's result; TimeoutError when it takes longer. Native code is stopped when it next returns."""

    # Without arguments: func_timeout writes them into its message, and those of a search take seconds to be told.
    def called() -> Any:
        return call(*arguments, **(named or {}))

    try:
        return func_timeout(seconds, called)
    except FunctionTimedOut:
        raise TimeoutError(f"stopped after {seconds:.2g} s") from None


@contextmanager
def unheard_timeouts() -> Iterator[None]:
    """Python prints an exception that hits a callback of native code to stderr; not these."""
    before = sys.unraisablehook

    def hook(unraisable: Any) -> None:
        if not issubclass(unraisable.exc_type, FunctionTimedOut):
            before(unraisable)

    sys.unraisablehook = hook
    try:
        yield
    finally:
        sys.unraisablehook = before
