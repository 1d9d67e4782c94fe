"""A distribution with engines, as an installer leaves it: metadata and modules in a folder of the search path."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest


def install(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    distribution: str,
    *,
    engines: Mapping[str, str],
    checks: Mapping[str, str] | None = None,
    **modules: str,
) -> None:
    """Version 1.0 of it, with these modules' source texts."""
    metadata = folder / f"{distribution}-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n")
    groups = {"incumbent.engines": engines, "incumbent.engine_checks": checks or {}}
    sections = [
        f"[{group}]\n" + "".join(f"{name} = {target}\n" for name, target in points.items())
        for group, points in groups.items()
    ]
    (metadata / "entry_points.txt").write_text("\n".join(sections))
    for name, source in modules.items():
        (folder / f"{name}.py").write_text(source)
    monkeypatch.syspath_prepend(str(folder))
