"""The documentation's reference pages, written from the code: ``python -m service.reference`` makes all of them anew."""

from service.reference.pages import pages

__all__ = ["pages"]
