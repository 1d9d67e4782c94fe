from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from registry.blobs import BlobStore, sign
from registry.database import Database
from registry.errors import Damaged, NotFound, Tampered
from registry.migrations import upgrade

AT = datetime(2026, 3, 1, tzinfo=UTC)
KEY = b"k" * 32


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Database]:
    opened = Database.open(f"sqlite:///{tmp_path / 'registry.db'}")
    upgrade(opened)
    yield opened
    opened.close()


@pytest.fixture
def store(tmp_path: Path, db: Database) -> BlobStore:
    return BlobStore(tmp_path / "blobs", KEY, db)


def files(tmp_path: Path) -> list[Path]:
    return sorted(path for path in (tmp_path / "blobs").rglob("*") if path.is_file())


@pytest.mark.parametrize("data", [b"", b"model", os.urandom(3_000_000)], ids=["empty", "small", "large"])
def test_what_was_put_is_opened(store: BlobStore, data: bytes) -> None:
    ref = store.put(data, at=AT)
    assert store.open(ref.digest) == data
    assert (ref.size, ref.signature) == (len(data), sign(data, KEY))


def test_the_same_content_is_one_blob(store: BlobStore, tmp_path: Path) -> None:
    assert store.put(b"twice", at=AT) == store.put(b"twice", at=AT + timedelta(1))
    assert len(files(tmp_path)) == 1


def test_a_blob_is_for_its_owner_only(store: BlobStore, tmp_path: Path) -> None:
    digest = store.put(b"secret", at=AT).digest
    (path,) = files(tmp_path)
    assert path == tmp_path / "blobs" / digest[:2] / digest[2:]
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("position", [0, 3, 8])
def test_a_flipped_byte_is_tampering(store: BlobStore, tmp_path: Path, position: int) -> None:
    ref = store.put(b"the bytes", at=AT)
    (path,) = files(tmp_path)
    data = bytearray(path.read_bytes())
    data[position] ^= 1
    path.write_bytes(data)
    with pytest.raises(Tampered):
        store.open(ref.digest)


@pytest.mark.parametrize("change", [lambda data: data + b"x", lambda data: data[:-1]])
def test_another_size_is_tampering(store: BlobStore, tmp_path: Path, change: object) -> None:
    ref = store.put(b"the bytes", at=AT)
    (path,) = files(tmp_path)
    path.write_bytes(change(path.read_bytes()))  # type: ignore[operator]
    with pytest.raises(Tampered):
        store.open(ref.digest)


def test_a_blob_signed_by_another_key_is_tampering(store: BlobStore, tmp_path: Path, db: Database) -> None:
    ref = store.put(b"theirs", at=AT)
    with pytest.raises(Tampered):
        BlobStore(tmp_path / "blobs", b"o" * 32, db).open(ref.digest)


def test_putting_content_again_signs_it_with_todays_key(
    store: BlobStore, tmp_path: Path, db: Database
) -> None:
    store.put(b"kept", at=AT)
    later = BlobStore(tmp_path / "blobs", b"o" * 32, db)
    assert later.open(later.put(b"kept", at=AT).digest) == b"kept"


@pytest.mark.parametrize("digest", ["0" * 64, "../../etc/passwd", "", "A" * 64, "a" * 63 + "\n"])
def test_what_is_no_blob_is_not_found(store: BlobStore, digest: str) -> None:
    with pytest.raises(NotFound):
        store.open(digest)


def test_a_missing_file_is_damage_and_putting_it_again_heals(store: BlobStore, tmp_path: Path) -> None:
    ref = store.put(b"lost", at=AT)
    files(tmp_path)[0].unlink()
    with pytest.raises(Damaged):
        store.open(ref.digest)
    store.put(b"lost", at=AT)
    assert store.open(ref.digest) == b"lost"


def test_a_failed_write_leaves_nothing(
    store: BlobStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        store.put(b"too much", at=AT)
    assert files(tmp_path) == []


def test_a_sweep_takes_orphans_and_leaves_blobs(store: BlobStore, tmp_path: Path) -> None:
    ref = store.put(b"kept", at=AT)
    folder = files(tmp_path)[0].parent
    (folder / ("a" * 62)).write_bytes(b"renamed, never entered")
    (folder / ".writing-00").write_bytes(b"half")
    now = datetime.now(UTC)
    assert store.sweep(before=now - timedelta(hours=1)) == 0
    assert store.sweep(before=now + timedelta(hours=1)) == 2
    assert store.open(ref.digest) == b"kept"
    assert len(files(tmp_path)) == 1


def test_many_threads_put_the_same_and_different_blobs(store: BlobStore, tmp_path: Path) -> None:
    data = [bytes([n % 7]) * 1000 for n in range(56)]
    with ThreadPoolExecutor(8) as pool:
        refs = list(pool.map(lambda item: store.put(item, at=AT), data))
    assert [store.open(ref.digest) for ref in refs] == data
    assert len(files(tmp_path)) == 7


def test_a_short_key_is_refused(tmp_path: Path, db: Database) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        BlobStore(tmp_path / "blobs", b"short", db)
