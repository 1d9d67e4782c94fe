from __future__ import annotations

from pathlib import Path

import pytest

from service.sealed import BrokenSeal, seal, seal_object, unseal, unseal_object

KEY = b"k" * 32


def test_what_was_sealed_comes_back(tmp_path: Path) -> None:
    seal_object(tmp_path / "a", {"weights": [1, 2]}, KEY)
    assert unseal_object(tmp_path / "a", KEY) == {"weights": [1, 2]}


def test_a_changed_byte_is_noticed_before_anything_is_parsed(tmp_path: Path) -> None:
    path = tmp_path / "a"
    seal(path, b"model", KEY)
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    with pytest.raises(BrokenSeal):
        unseal(path, KEY)


def test_a_file_of_another_run_is_refused(tmp_path: Path) -> None:
    seal(tmp_path / "a", b"model", b"o" * 32)
    with pytest.raises(BrokenSeal, match="seal of this run"):
        unseal(tmp_path / "a", KEY)


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"")
    with pytest.raises(BrokenSeal):
        unseal(tmp_path / "a", KEY)
