"""Whether a module, and what it imports first of all, is there: read from files, nothing is run."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import lru_cache
from importlib.machinery import ModuleSpec
from pathlib import Path


def lacking(module: str) -> str | None:
    """What is missing for ``module`` to be imported, in words; None where all that is seen is there.

    Looks at the module's own imports outside of functions, conditions and ``try``, at the package of each only.
    That a library is there doesn't say that it works.
    """
    spec = _spec(module)
    if spec is None:
        return f"its module {module} is not there"
    if spec.origin is None or not spec.origin.endswith(".py"):
        return None
    try:
        tree = ast.parse(Path(spec.origin).read_bytes())
    except (OSError, SyntaxError, ValueError) as error:
        return f"its module {module} can't be read: {error}"
    gone = sorted(name for name in set(_packages(tree)) if not _is_there(name))
    return f"it needs {', '.join(gone)}, which can't be found" if gone else None


def _packages(tree: ast.Module) -> Iterator[str]:
    for node in tree.body:
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]


@lru_cache(maxsize=512)
def _is_there(package: str) -> bool:
    return package in sys.stdlib_module_names or package in sys.modules or _spec(package) is not None


def _spec(module: str) -> ModuleSpec | None:
    """As the import system would find it, but without importing the packages it lies in."""
    path: Sequence[str] | None = None
    spec = None
    parts = module.split(".")
    for at in range(len(parts)):
        name = ".".join(parts[: at + 1])
        spec = _found(name, path)
        if spec is None:
            return None
        path = list(spec.submodule_search_locations or ())
    return spec


def _found(name: str, path: Sequence[str] | None) -> ModuleSpec | None:
    for finder in sys.meta_path:
        with suppress(KeyError):  # a namespace inside of a package that nobody has imported
            spec = finder.find_spec(name, path)
            if spec is not None:
                return spec
    return None
