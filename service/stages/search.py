"""A run's search, in its own process."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from automl.candidate import Candidate
from automl.engines.choosing import BlendRule
from automl.engines.construction import construction
