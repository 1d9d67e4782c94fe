"""The work on a run whose challenger came from elsewhere: it is judged as what a search finds is."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from automl.search import SearchResult
from service.bench import Bench
from service.conclusion import Challenger, Judgement
from service.registration import Refit

ENGINE = "imported"


class ImportedBench(Bench):
    """Nothing is searched; what was imported is neither trained again on all rows nor beside pseudo-labels."""

    def search(self, *, arm: str = "") -> SearchResult[Challenger]:
        told: Mapping[str, Any] = self._run.plan[ENGINE]
        file = "imported.model"
        self._room.bring_sealed(file, self._registry.blobs.open(told["blob"]))
        challenger = Challenger(
            engine=ENGINE,
            estimator=told["estimator"],
            score=math.nan,
            config={},
            requirements=told["requirements"],
            size_bytes=told["size_bytes"],
            partial=False,
            file=file,
        )
        part = {"seconds": 0.0, "trials": 0, "peak_mib": 0, "score": None, "estimator": told["estimator"]}
        self._outcomes = {ENGINE: {**part, "partial": False, "error": None}}
        self._log.describe(engines=self._outcomes)
        return SearchResult(outcomes=(), best=challenger, reason=f"imported from {told['source']}")

    def search_with_pseudo_labels(self) -> Challenger | None:
        return None

    def refit(self, judgement: Judgement) -> Refit | None:
        return None
