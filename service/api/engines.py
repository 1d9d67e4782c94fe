"""Which engines a policy may name, and which of them can be used here."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Depends

from automl.engines import catalogue
from service.api.context import require

router = APIRouter()


@router.get("/engines", dependencies=[Depends(require("data"))])
def list_engines() -> dict[str, Any]:
    """All installed engines, ours and plug-ins', by name; ``reason`` says why one that is not available is not.

    Told from what is installed: no engine is imported here. ``incumbent doctor`` loads each one.
    """
    return {"engines": [show(listing) for listing in catalogue.listed()]}


def show(listing: catalogue.Listing) -> dict[str, Any]:
    return {
        "name": listing.name,
        "distribution": listing.distribution,
        "version": listing.version,
        "available": listing.available,
        "reason": listing.reason,
    }
