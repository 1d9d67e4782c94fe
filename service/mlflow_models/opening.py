"""Opening a model's file from elsewhere: a pickle, skops, or a folder of MLflow's with the scikit-learn flavor.

Reading a pickle runs whatever its maker put into it: that is for an administrator to decide, on the command line.
"""

from __future__ import annotations

import hashlib
import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from automl.engines.plain import SERVED

PICKLES = (".pkl", ".pickle", ".joblib")
SKOPS = ".skops"


class Unreadable(Exception):
    """The file is no model that can be opened; ``remedy`` says what can be done."""

    def __init__(self, reason: str, remedy: str = "") -> None:
        super().__init__(reason)
        self.remedy = remedy


class Untrusted(Exception):
    """Opening it would run code that nobody has vouched for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where a model lies: the file itself, its kind (``pickle`` or ``skops``), and its SHA-256."""

    path: Path
    kind: str
    sha256: str


def source(path: Path) -> Source:
    """What lies at ``path``; reads no model yet. Raises Unreadable."""
    file = _of_folder(path) if path.is_dir() else path
    if not file.is_file():
        raise Unreadable(
            f"there is no file {file}", "Give a pickle, a .skops file or an MLflow model's folder."
        )
    ending = file.suffix.lower()
    if ending not in (*PICKLES, SKOPS):
        known = ", ".join((*PICKLES, SKOPS))
        raise Unreadable(f"{file.name} is no model that is known here", f"Files end in {known}.")
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    return Source(path=file, kind="skops" if ending == SKOPS else "pickle", sha256=digest)


def opened(found: Source, *, trust: bool) -> Any:
    """The model. Raises Untrusted, before anything of it runs, unless it is trusted or skops finds in it nothing but
    classes that served packages define; Unreadable."""
    if found.kind == "skops":
        return _skops(found.path, trust)
    if not trust:
        raise Untrusted("a pickle runs code of whoever made it as soon as it is read")
    import joblib  # reads plain pickles too

    try:
        return joblib.load(found.path)
    except Exception as error:  # whatever a broken pickle raises
        raise Unreadable(f"{found.path.name} can't be read: {type(error).__name__}: {error}") from error


def _of_folder(folder: Path) -> Path:
    """The pickled model of an MLflow folder with the scikit-learn flavor."""
    import yaml

    try:
        told = yaml.safe_load((folder / "MLmodel").read_text(encoding="utf-8"))
        flavor = told["flavors"]["sklearn"]
        name = str(flavor["pickled_model"])
    except FileNotFoundError:
        raise Unreadable(
            f"{folder} holds no MLmodel", "Give the folder that mlflow.sklearn.save_model wrote."
        ) from None
    except (yaml.YAMLError, KeyError, TypeError) as error:
        raise Unreadable(
            f"{folder}/MLmodel names no scikit-learn model ({error})", "Only that flavor is read."
        ) from None
    file = (folder / name).resolve()
    if not file.is_relative_to(folder.resolve()):
        raise Unreadable(f"{folder}/MLmodel names a file outside of its folder")
    return file


def _skops(path: Path, trust: bool) -> Any:
    try:
        from skops import io
    except ImportError as error:
        raise Unreadable("skops is not installed", "pip install skops") from error
    try:
        unknown = io.get_untrusted_types(file=path)
        foreign = [name for name in unknown if not _served_class(name)]
        if foreign and not trust:
            raise Untrusted(f"it holds what is no class of {', '.join(sorted(SERVED))}: {', '.join(foreign)}")
        return io.load(path, trusted=unknown)
    except Untrusted:
        raise
    except Exception as error:
        raise Unreadable(f"{path.name} can't be read: {type(error).__name__}: {error}") from error


def _served_class(name: str) -> bool:
    """Whether a served package defines a class of this name. Its functions don't count, nor what it only imports:
    ``sklearn.utils._testing.check_output`` is the one of ``subprocess``."""
    module, _, attribute = name.rpartition(".")
    if module.partition(".")[0] not in SERVED:
        return False
    try:
        found = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError):
        return False
    return isinstance(found, type) and found.__module__.partition(".")[0] in SERVED
