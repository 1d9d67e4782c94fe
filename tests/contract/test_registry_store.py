"""Opening a registry: the home folder, the key, the database."""

from __future__ import annotations

import stat
import threading
from pathlib import Path

import pytest
from registry_builders import NOW

from registry.errors import Conflict, Damaged
from registry.store import Registry


def test_opening_makes_a_home_and_opening_again_finds_it(tmp_path: Path, database_url: str) -> None:
    home = tmp_path / "a home with ? and %20 in it"
    url = None if database_url.startswith("sqlite") else database_url
    first = Registry.open(home, database_url=url)
    project = first.projects.create("flights", task={}, policy={}, at=NOW)
    ref = first.blobs.put(b"bytes", at=NOW)
    first.close()
    first.close()
    second = Registry.open(home, database_url=url)
    assert second.projects.get("flights") == project
    assert second.blobs.open(ref.digest) == b"bytes"
    assert second.signing_key == first.signing_key
    third = Registry.open(home, database_url=second.database_url)
    assert third.projects.get("flights") == project
    second.close()
    third.close()
    assert (home / "registry.db").exists() == (url is None)
    assert {"tables", "blobs", "staging", "keys"} <= {path.name for path in home.iterdir()}


def test_the_key_is_made_once_private_and_outside_the_blobs(tmp_path: Path) -> None:
    keys: list[bytes] = []

    def open_one() -> None:
        registry = Registry.open(tmp_path)
        keys.append(registry.signing_key)
        registry.close()

    threads = [threading.Thread(target=open_one) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert len(keys) == 4
    assert len(set(keys)) == 1
    assert len(keys[0]) == 32
    assert [path.name for path in (tmp_path / "keys").iterdir()] == ["signing.key"]
    assert stat.S_IMODE((tmp_path / "keys" / "signing.key").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "keys").stat().st_mode) == 0o700


def test_a_given_key_leaves_no_file(tmp_path: Path) -> None:
    registry = Registry.open(tmp_path, signing_key=b"k" * 32)
    registry.close()
    assert registry.signing_key == b"k" * 32
    assert not (tmp_path / "keys").exists()


@pytest.mark.parametrize("content", ["", "00ff", "no key at all"])
def test_an_unusable_key_file_is_damage_and_not_replaced(tmp_path: Path, content: str) -> None:
    path = tmp_path / "keys" / "signing.key"
    path.parent.mkdir()
    path.write_text(content)
    with pytest.raises(Damaged, match="signing key"):
        Registry.open(tmp_path)
    assert path.read_text() == content


def test_two_registries_of_one_home_share_one_truth(tmp_path: Path) -> None:
    first, second = Registry.open(tmp_path), Registry.open(tmp_path)
    first.projects.create("flights", task={}, policy={}, at=NOW)
    with pytest.raises(Conflict):
        second.projects.create("flights", task={}, policy={}, at=NOW)
    first.close()
    second.projects.create("others", task={}, policy={}, at=NOW)
    second.close()
