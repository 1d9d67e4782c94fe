"""Files that a stage and its parent both name; the parent must not import the stage for them."""

from __future__ import annotations

CHAMPION_FILE = "champion.model"
FORECAST_FILE = "forecast.model"
AHEAD = "ahead.parquet"
