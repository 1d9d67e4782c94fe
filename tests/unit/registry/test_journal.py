from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from registry import journal
from registry.errors import Damaged, RegistryError
from registry.journal import MAGIC, Journal, encode, read

payloads = st.lists(st.binary(max_size=60), max_size=8)


def sealed_payloads(opened: Journal) -> list[bytes]:
    opened.rotate()
    return [payload for _, path in opened.sealed() for payload in read(path)]


def test_what_was_appended_is_read_in_order(tmp_path: Path) -> None:
    with Journal(tmp_path) as opened:
        opened.append([b"one", b"", b"two"])
        opened.append([])
        opened.append([b"three"])
        assert sealed_payloads(opened) == [b"one", b"", b"two", b"three"]


@given(payloads=payloads, data=st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_a_segment_cut_anywhere_gives_whole_records_and_then_ends(
    tmp_path: Path, payloads: list[bytes], data: st.DataObject
) -> None:
    whole = MAGIC + b"".join(map(encode, payloads))
    cut = data.draw(st.integers(0, len(whole)))
    path = tmp_path / "segment"
    path.write_bytes(whole[:cut])
    ends = [len(MAGIC) + sum(len(encode(item)) for item in payloads[:n]) for n in range(len(payloads) + 1)]
    complete = max((n for n, end in enumerate(ends) if end <= cut), default=0)
    assert list(read(path)) == payloads[:complete]


@given(payloads=payloads.filter(bool), data=st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_a_flipped_bit_anywhere_is_damage(tmp_path: Path, payloads: list[bytes], data: st.DataObject) -> None:
    whole = bytearray(MAGIC + b"".join(map(encode, payloads)))
    bit = data.draw(st.integers(0, len(whole) * 8 - 1))
    whole[bit // 8] ^= 1 << bit % 8
    path = tmp_path / "segment"
    path.write_bytes(whole)
    with pytest.raises(Damaged, match="segment"):
        list(read(path))


def test_zeros_after_the_last_record_are_a_torn_tail(tmp_path: Path) -> None:
    path = tmp_path / "segment"
    path.write_bytes(MAGIC + encode(b"kept") + b"\0" * 4096)
    assert list(read(path)) == [b"kept"]


def test_a_segment_is_sealed_before_it_grows_past_its_bound(tmp_path: Path) -> None:
    with Journal(tmp_path, segment_bytes=1000) as opened:
        for number in range(40):
            opened.append([bytes([number]) * 100])
        opened.append([b"larger than a segment" * 100])
        opened.append([b"last"])
        sizes = [path.stat().st_size for _, path in opened.sealed()]
        assert sum(size > 1000 for size in sizes) == 1
        assert len(sealed_payloads(opened)) == 42


def test_a_reopened_journal_seals_what_was_there_and_goes_on_counting(tmp_path: Path) -> None:
    with Journal(tmp_path) as first:
        first.append([b"before"])
        identity = first.id
    with Journal(tmp_path) as second:
        assert second.id == identity
        (before,) = second.sealed()
        assert list(read(before[1])) == [b"before"]
        second.drop(before[0])
        second.drop(before[0])
        assert second.rotate() is None
        second.append([b"after"])
        after = second.rotate()
    assert after is not None
    assert after > before[0]
    assert second.key(after) != second.key(before[0])


def test_numbers_never_come_back_after_everything_was_dropped(tmp_path: Path) -> None:
    numbers = []
    for _ in range(4):
        with Journal(tmp_path) as opened:
            opened.append([b"x"])
            number = opened.rotate()
            assert number is not None
            numbers.append(number)
            opened.drop(number)
    assert numbers == sorted(set(numbers))


def test_the_segment_in_use_is_not_dropped(tmp_path: Path) -> None:
    with Journal(tmp_path) as opened:
        opened.append([b"x"])
        with pytest.raises(ValueError, match="not sealed"):
            opened.drop(max(int(path.stem) for path in tmp_path.glob("*.log")))


def test_a_second_owner_is_refused_until_the_first_is_gone(tmp_path: Path) -> None:
    first = Journal(tmp_path)
    with pytest.raises(RegistryError, match="another process"):
        Journal(tmp_path)
    first.close()
    first.close()
    Journal(tmp_path).close()


def test_a_write_that_fails_half_way_leaves_nothing_of_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.write

    def half(descriptor: int, data: memoryview) -> int:
        if len(data) < 100:
            raise OSError(28, "No space left on device")
        return real(descriptor, data[:100])

    with Journal(tmp_path) as opened:
        opened.append([b"first"])
        monkeypatch.setattr(journal.os, "write", half)
        with pytest.raises(OSError, match="No space left"):
            opened.append([b"y" * 130])
        monkeypatch.undo()
        opened.append([b"second"])
        assert sealed_payloads(opened) == [b"first", b"second"]


def test_threads_append_whole_groups(tmp_path: Path) -> None:
    with Journal(tmp_path, segment_bytes=5000) as opened:

        def work(name: int) -> None:
            for number in range(50):
                opened.append([f"{name} {number} {part}".encode() for part in range(3)])

        threads = [threading.Thread(target=work, args=(name,)) for name in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        found = [payload.decode().split() for payload in sealed_payloads(opened)]
    assert len(found) == 600
    for group in range(0, 600, 3):
        assert [entry[2] for entry in found[group : group + 3]] == ["0", "1", "2"]
        assert len({tuple(entry[:2]) for entry in found[group : group + 3]}) == 1


WRITER = """
import sys
from pathlib import Path
from registry.journal import Journal

journal = Journal(Path(sys.argv[1]), segment_bytes=20_000)
number = 0
while True:
    journal.append([b"%d %d" % (number, part) + b"." * 50 for part in range(3)])
    print(number, flush=True)
    number += 1
"""


@pytest.mark.slow
@pytest.mark.parametrize("lines", [1, 57, 400])
def test_everything_acknowledged_survives_kill_9(tmp_path: Path, lines: int) -> None:
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE)
    assert writer.stdout is not None
    for _ in range(lines):
        writer.stdout.readline()
    writer.send_signal(signal.SIGKILL)
    acknowledged = lines + len(writer.stdout.read().splitlines())
    writer.wait()
    with Journal(tmp_path) as opened:
        found = [payload.rstrip(b".").decode() for _, path in opened.sealed() for payload in read(path)]
    assert found == [f"{index // 3} {index % 3}" for index in range(len(found))]
    assert len(found) >= 3 * acknowledged


def test_appending_goes_on_while_the_disk_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, gate = threading.Event(), threading.Event()

    def slow(descriptor: int) -> None:
        begun.set()
        gate.wait(10)

    with Journal(tmp_path) as opened:
        opened.append([b"before"])
        with monkeypatch.context() as patched:
            patched.setattr(journal.os, "fdatasync", slow)
            waiting = threading.Thread(target=opened.sync)
            waiting.start()
            assert begun.wait(10)
            opened.append([b"meanwhile"])
            gate.set()
            waiting.join()
        assert sealed_payloads(opened) == [b"before", b"meanwhile"]


def test_what_was_not_moved_is_counted_until_it_is_dropped(tmp_path: Path) -> None:
    with Journal(tmp_path) as opened:
        empty = opened.unmoved
        opened.append([b"x" * 1000])
        assert opened.unmoved - empty > 1000
        number = opened.rotate()
        assert number is not None
        kept = opened.unmoved
        opened.append([b"y" * 1000])
        other = opened.rotate()
        assert other is not None
        opened.drop(number)
        assert opened.unmoved < kept + 100
        assert opened.set_aside(other, ".damaged").exists()
        assert opened.unmoved == empty
    with Journal(tmp_path) as again:
        assert again.unmoved == empty
