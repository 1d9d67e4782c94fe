"""What rows have to be like for a challenger to be trained on them and judged by them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from service.policy_part import Part, Share


class DataHealth(Part):
    """Are the rows fit to learn from and to judge by? A null limit is told, and held against nobody.

    ``leak_from``: the ROC AUC or R² from which a column that says the label alone is suspected. ``max_label_errors``: of the
    labels of which a model is surest, the share that may be denied. ``max_shared_rows``: of the rows that judge, those that
    are copies of rows trained on. ``max_missing_rise`` and ``max_unseen``: of the newest values of a column, the share
    that may be missing beyond what was before, or lie outside of all trained on. ``max_odd``: of the newest rows, those
    unlike all trained on. With ``non_inferior`` a leak that the champion learns from too is not held against the challenger.
    """

    mode: Literal["hard", "non_inferior", "report"] = "report"
    leak_from: Annotated[float, Field(gt=0.5, lt=1)] | None = 0.99
    max_label_errors: Share | None = 0.01
    max_shared_rows: Share | None = 0.05
    max_missing_rise: Share | None = 0.1
    max_unseen: Share | None = 0.2
    max_odd: Share | None = 0.1
