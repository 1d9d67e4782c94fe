"""Which engines there are: entry points of installed distributions, our own among them.

To list them reads metadata and looks for files: no engine, and nothing an engine needs, is imported. An engine that
can't be used stays in the list with the reason, so that a broken plug-in harms nobody but those who name it.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING

from automl.engines.imports import lacking
from automl.errors import BrokenEngine, NoSuchEngine

if TYPE_CHECKING:
    from automl.engines.searcher import Searcher

GROUP = "incumbent.engines"
"""Engine name to ``module:Class``, a subclass of :class:`automl.engines.searcher.Searcher`."""
CHECKS = "incumbent.engine_checks"
"""Engine name to ``module:function``: no arguments; why the engine can't be used here, or None. Called by the server,
so its module imports nothing heavy."""

_OWN = "incumbent"
_NAME = re.compile(r"[a-z][a-z0-9_]{0,31}")
_RESERVED = ("blend",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """One engine: whose it is, and why it can't be used here (None: nothing is known to be in its way)."""

    name: str
    distribution: str
    version: str
    target: str
    reason: str | None = None

    @property
    def available(self) -> bool:
        return self.reason is None


def listed() -> tuple[Listing, ...]:
    """All engines, our own first, each looked at anew."""
    return tuple(_checked(listing) for listing in _found().values())


def names() -> tuple[str, ...]:
    """Their names, our own first, whether they can be used or not."""
    return tuple(_found())


def load(name: str, *, max_trials: int | None = None) -> Searcher:
    """The engine of that name, imported and made.

    Raises NoSuchEngine or BrokenEngine, whatever goes wrong in the plug-in.
    """
    listing = _found().get(name)
    if listing is None:
        raise NoSuchEngine(f"no engine {name!r} is installed; there are {', '.join(names()) or 'none'}")
    listing = _checked(listing)
    whose = f"engine {name!r} of {listing.distribution} {listing.version}"
    if listing.reason is not None:
        raise BrokenEngine(f"{whose} can't be used: {listing.reason}")
    from automl.engines.searcher import Searcher

    try:
        made = EntryPoint(name=name, value=listing.target, group=GROUP).load()(max_trials=max_trials)
    except (Exception, SystemExit) as error:  # another's code: it may fail in any way it likes
        raise BrokenEngine(f"{whose} can't be loaded: {type(error).__name__}: {error}") from error
    if not isinstance(made, Searcher) or made.name != name:
        wanted = f"a subclass of automl.engines.searcher.Searcher whose name is {name!r}"
        raise BrokenEngine(f"{whose} can't be used: {listing.target} is not {wanted}")
    return made


def _found() -> Mapping[str, Listing]:
    return _read(tuple(sys.path))


@lru_cache(maxsize=4)
def _read(path: tuple[str, ...]) -> Mapping[str, Listing]:
    """By name. Metadata are read once for a search path: what is installed later is seen after a restart."""
    found: dict[str, Listing] = {}
    for point in _points(GROUP):
        listing = _listing(point)
        other = found.get(point.name)
        if other is None:
            found[point.name] = listing
        elif other.distribution != _OWN and other.distribution != listing.distribution:
            both = f"{other.distribution} and {listing.distribution} both have an engine of this name"
            found[point.name] = replace(other, reason=f"{both}: uninstall one")
    return found


def _points(group: str) -> list[EntryPoint]:
    """Our own first, in the order they are written down; others by distribution and name."""
    found: Iterable[EntryPoint] = entry_points(group=group)
    own = [point for point in found if _whose(point)[0] == _OWN]
    others = [point for point in found if _whose(point)[0] != _OWN]
    return [*own, *sorted(others, key=lambda point: (_whose(point)[0], point.name))]


def _whose(point: EntryPoint) -> tuple[str, str]:
    made_by = point.dist
    return ("?", "?") if made_by is None else (made_by.name, made_by.version)


def _listing(point: EntryPoint) -> Listing:
    distribution, version = _whose(point)
    reason = None
    if not _NAME.fullmatch(point.name) or point.name in _RESERVED:
        reason = "a name is up to 32 small letters, digits and underscores, a letter first, and not 'blend'"
    elif not point.attr:
        reason = f"its entry point is {point.value!r}, not module:Class"
    return Listing(
        name=point.name, distribution=distribution, version=version, target=point.value, reason=reason
    )


def _checked(listing: Listing) -> Listing:
    if listing.reason is not None:
        return listing
    reason = lacking(listing.target.partition(":")[0].strip())
    if reason is None:
        checks = [point for point in _points(CHECKS) if point.name == listing.name]
        reasons = [_asked(point) for point in checks if _whose(point)[0] == listing.distribution]
        reason = next((said for said in reasons if said is not None), None)
    return replace(listing, reason=reason)


def _asked(point: EntryPoint) -> str | None:
    try:
        said = point.load()()
    except (Exception, SystemExit) as error:  # another's code
        return f"its check {point.value} failed: {type(error).__name__}: {error}"
    return None if said is None else str(said)
