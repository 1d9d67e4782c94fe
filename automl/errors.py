"""The one error root of automl. Only broken promises raise; results carry everything else."""

from __future__ import annotations


class AutoMLError(Exception):
    """Something automl was promised did not hold."""


class SchemaError(AutoMLError):
    """The first table of a project can't become a schema, or a table can't be read by one.

    ``code`` is a stable word (``missing_column``, ``duplicate_columns``, …), ``column`` the column at
    fault where there is one, ``remedy`` what the caller can do.
    """

    def __init__(self, message: str, *, code: str, column: str | None = None, remedy: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.column = column
        self.remedy = remedy


class SplitError(AutoMLError):
    """There are too few labelled rows to train on one part and judge on another."""


class SearchFailed(AutoMLError):
    """An engine ended without a usable pipeline; the message says why."""


class NoSuchEngine(AutoMLError):
    """No installed distribution has an engine of that name; the message names those there are."""


class BrokenEngine(AutoMLError):
    """An engine is installed and can't be used; the message says whose it is and what is wrong."""


class SeriesError(AutoMLError):
    """Rows can't become regular series, or series can't be forecast; ``column`` is at fault where one is."""

    def __init__(self, message: str, *, column: str | None = None, remedy: str = "") -> None:
        super().__init__(message)
        self.column = column
        self.remedy = remedy
