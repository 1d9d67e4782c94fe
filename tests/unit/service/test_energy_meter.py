"""Metering a child: it tells what is known, costs the work nothing, and never fails it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import service
from registry.energy import EnergyReading, EnergySource
from service.energy import meter
from service.energy.figures import figures, parts
from service.energy.meter import EVENT, STOP_SECONDS, metered
from service.energy.reading import Ears, new_reading, of_run, summed
from service.energy.tracker import Told

RULE = {"country": None, "g_per_kwh": None, "watts_per_core": None}


def figure(wh: float, source: str = "estimated") -> Told:
    return {"source": source, "wh": wh, "gco2e": wh / 2, "details": {"method": "counted", "grid": "here"}}


class Steady:
    """A tracker that knows a little more each time."""

    def __init__(self, *, at: str = "", error: BaseException | None = None) -> None:
        self.wh = 0.0
        self._at = at
        self._error = error

    def start(self) -> None:
        self._step("start")

    def read(self) -> Told | None:
        self._step("read")
        return figure(self.wh)

    def stop(self) -> Told | None:
        self._step("stop")
        return figure(self.wh)

    def _step(self, name: str) -> None:
        self.wh += 1
        if name == self._at and self._error is not None:
            raise self._error


def heard(make: Any, *, work: float = 0.0) -> tuple[list[dict[str, Any]], float]:
    """What is told while something else works, and the seconds that the end took."""
    told: list[dict[str, Any]] = []

    def tell(event: str, **details: Any) -> None:
        assert event == EVENT
        told.append(details)

    with metered(tell, RULE, make):
        time.sleep(work)
        ended = time.monotonic()
    return told, time.monotonic() - ended


def test_the_last_word_is_the_whole_and_words_come_in_between(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meter, "EVERY_SECONDS", 0.02)
    told, _ = heard(lambda rule: Steady(), work=0.3)
    assert len(told) > 2
    assert [one["wh"] for one in told] == sorted(one["wh"] for one in told)
    assert all(one["seconds"] > 0 for one in told)


@pytest.mark.parametrize("at", ["start", "read", "stop"])
@pytest.mark.parametrize("error", [RuntimeError("no RAPL"), SystemExit(1), KeyboardInterrupt()])
def test_a_tracker_that_raises_anywhere_fails_nothing(
    at: str, error: BaseException, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(meter, "EVERY_SECONDS", 0.02)
    told, _ = heard(lambda rule: Steady(at=at, error=error), work=0.1)
    assert (told[-1]["source"], told[-1]["wh"]) == ("unknown", None)
    assert type(error).__name__ in told[-1]["details"]["why"]


def test_a_tracker_that_can_not_even_be_made_fails_nothing() -> None:
    def make(rule: Mapping[str, Any]) -> Any:
        raise ImportError("there is no codecarbon here")

    ((one,), _) = heard(make)
    assert one["details"] == {"why": "ImportError: there is no codecarbon here"}


def test_a_tracker_that_hangs_is_not_waited_for_and_what_it_said_before_is_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(meter, "STOP_SECONDS", 0.2)
    release = threading.Event()

    class Hanging(Steady):
        def stop(self) -> Told | None:
            release.wait(30)
            return None

    monkeypatch.setattr(meter, "EVERY_SECONDS", 0.02)
    told, took = heard(lambda rule: Hanging(), work=0.1)
    assert took < STOP_SECONDS
    assert told[-1]["details"]["why"] == "the tracker did not answer within 0.2 s"
    ears = Ears()
    for one in told:
        ears.hear(one)
    assert ears.told is not None
    assert ears.told["wh"] == told[-2]["wh"]
    release.set()
    time.sleep(0.05)
    assert told[-1]["wh"] is None, "nothing is said after the last word"


def test_a_parent_that_is_gone_fails_nothing() -> None:
    def tell(event: str, **details: Any) -> None:
        raise BrokenPipeError

    with metered(tell, RULE, lambda rule: Steady()):
        pass


def test_the_failure_of_the_work_is_not_hidden() -> None:
    with pytest.raises(ZeroDivisionError), metered(lambda event, **_: None, RULE, lambda rule: Steady()):
        1 / 0  # noqa: B018


def test_without_a_rule_nothing_is_metered() -> None:
    def never(event: str, **details: Any) -> None:
        raise AssertionError

    with metered(never, None):
        assert "energy" not in {thread.name for thread in threading.enumerate()}


HANGING = """
    import sys, time
    from concurrent.futures import ThreadPoolExecutor

    from service.energy import meter
    from service.energy.meter import metered
    from service.worker import leave

    meter.STOP_SECONDS = 0.1

    def probe(rule):  # as codecarbon looks for hardware
        with ThreadPoolExecutor(max_workers=2) as pool:
            pool.submit(time.sleep, 600).result()

    with metered(lambda event, **details: None, {}, probe if sys.argv[1] == "hangs" else dict):
        time.sleep(0.3)
    print("done", end="")
    leave(3)
"""


@pytest.mark.parametrize("probe", ["hangs", "answers"])
def test_a_child_ends_with_its_result_though_the_probe_of_the_hardware_hangs(probe: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(HANGING), probe],
        env={**os.environ, "PYTHONPATH": str(Path(service.__file__).parent.parent)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert (done.returncode, done.stdout) == (3, "done"), done.stderr


@dataclass
class Read:
    """What codecarbon would tell, kilowatt-hours."""

    cpu_energy: float = 0.004
    gpu_energy: float = 0.002
    ram_energy: float = 0.002
    energy_consumed: float = 0.008
    emissions: float = 0.0008


def test_what_is_measured_does_not_contain_what_is_modelled() -> None:
    measured, estimated = figures(Read(), measured=True), figures(Read(), measured=False)
    assert (measured["source"], measured["wh"]) == ("measured", pytest.approx(6))
    assert measured["gco2e"] == pytest.approx(0.6)
    assert (estimated["source"], estimated["wh"]) == ("estimated", pytest.approx(8))
    assert estimated["gco2e"] == pytest.approx(0.8)
    assert parts(Read()) == pytest.approx(
        {"g_per_kwh": 100, "processor_wh": 4, "memory_wh": 2, "gpu_wh": 2}
    ), "the memory is told all the same"


def test_a_reading_of_nothing_is_nothing() -> None:
    nothing = Read(0.0, 0.0, 0.0, 0.0, 0.0)
    assert (figures(nothing, measured=True)["wh"], figures(nothing, measured=True)["gco2e"]) == (0.0, 0.0)
    assert parts(nothing)["g_per_kwh"] is None


OFFLINE = """
    import json, socket, sys, time

    def refused(*a, **k):
        raise AssertionError("a call into the network")

    socket.socket.connect = socket.getaddrinfo = refused
    from service.energy import meter
    from service.energy.meter import metered

    meter.STOP_SECONDS = 90.0  # however busy this machine is
    told = []
    with metered(lambda event, **details: told.append(details), json.loads(sys.argv[1])):
        until = time.monotonic() + 1.5
        while time.monotonic() < until:
            sum(range(10_000))
    print(json.dumps(told))
"""


def codecarbon(tmp_path: Path, **rule: Any) -> dict[str, Any]:
    """What the real tracker says of a process without any network, in a folder of its own."""
    code = str(Path(service.__file__).parent.parent)
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(OFFLINE), json.dumps({**RULE, **rule})],
        env={**os.environ, "PYTHONPATH": code, "HOME": str(tmp_path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert "codecarbon" not in done.stderr, "it says nothing by itself"
    assert list(tmp_path.iterdir()) == [], "it leaves no file"
    told: dict[str, Any] = json.loads(done.stdout)[-1]
    return told


@pytest.mark.slow
def test_codecarbon_reads_without_network_or_files_and_the_grid_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CODECARBON_SAVE_TO_API", "true")
    world = codecarbon(tmp_path)
    assert world["source"] in ("measured", "estimated")
    assert world["wh"] > 0
    details = world["details"]
    assert details["grid"] == "world average"
    assert details["g_per_kwh"] == pytest.approx(475)
    memory = 0.0 if world["source"] == "measured" else details["memory_wh"]
    assert world["wh"] == pytest.approx(details["processor_wh"] + details["gpu_wh"] + memory, rel=1e-6)
    given = codecarbon(tmp_path, g_per_kwh=100.0, country="DEU")
    assert given["details"]["g_per_kwh"] == pytest.approx(100)
    assert given["details"]["grid"] == "INCUMBENT_GRID_G_PER_KWH"
    small = codecarbon(tmp_path, watts_per_core=0.05)
    assert small["source"] == "estimated"
    assert small["details"]["processor_wh"] * 3600 / small["seconds"] <= 0.05 * (os.cpu_count() or 1) * 1.1
    france = codecarbon(tmp_path, country="FRA")
    assert france["details"]["grid"] == "country FRA"
    assert 0 < france["details"]["g_per_kwh"] < 150


def reading(wh: float | None, source: EnergySource = EnergySource.ESTIMATED, **details: Any) -> EnergyReading:
    from small_house import NOW

    return EnergyReading(
        project_id=1,
        run=1,
        replay=None,
        part="search",
        source=source,
        wh=wh,
        gco2e=None if wh is None else wh / 2,
        seconds=10.0,
        details=details,
        at=NOW,
    )


def test_a_sum_is_measured_only_where_all_of_it_is() -> None:
    both = summed((reading(2.0, EnergySource.MEASURED), reading(1.0, EnergySource.MEASURED)))
    assert both is not None
    assert (both["source"], both["wh"], both["gco2e"], both["seconds"]) == ("measured", 3.0, 1.5, 20.0)
    mixed = summed((reading(2.0, EnergySource.MEASURED), reading(1.0)))
    assert mixed is not None
    assert mixed["source"] == "estimated"
    assert summed(()) is None


def test_what_is_not_known_of_a_part_is_left_out_and_said() -> None:
    told = summed((reading(2.0), reading(None, EnergySource.UNKNOWN, why="it hangs")))
    assert told is not None
    assert (told["wh"], told["parts"][1]["why"]) == (2.0, "it hangs")
    nothing = summed((reading(None, EnergySource.UNKNOWN, why="it hangs"),))
    assert nothing is not None
    assert (nothing["source"], nothing["wh"]) == ("unknown", None)


def test_the_gain_of_a_run_is_told_for_each_watt_hour() -> None:
    verdict = {"metric": "roc_auc", "difference": {"estimate": 0.02}}
    told = of_run((reading(4.0),), verdict)
    assert told is not None
    assert (told["gain"], told["gain_per_wh"], told["metric"]) == (0.02, 0.005, "roc_auc")
    for unknown in (
        of_run((reading(None, EnergySource.UNKNOWN),), verdict),
        of_run((reading(0.0),), verdict),
    ):
        assert unknown is not None
        assert unknown["gain_per_wh"] is None
    lost = of_run((reading(4.0),), None)
    assert lost is not None
    assert lost["gain_per_wh"] is None


def test_what_was_heard_is_kept_as_it_was_told() -> None:
    new = new_reading("search-" + "x" * 200, {**figure(1.5, "measured"), "seconds": 3})
    assert (new.source, new.wh, new.gco2e, new.seconds) == (EnergySource.MEASURED, 1.5, 0.75, 3.0)
    assert len(new.part) == 100
