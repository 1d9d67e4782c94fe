"""The demo: a year of real flights against a real server, in order of time."""

from __future__ import annotations

import contextlib
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from service.client import Incumbent
from service.commands.console import CommandError, out, show_json
from service.demo import child
from service.demo.plan import Plan
from service.demo.watch import Watch

if TYPE_CHECKING:
    import pandas as pd

    from service.demo.table import Report

PROJECT = "flights"
FIRST_TRIES = 3


def play(plan: Plan, *, home: Path | None, port: int, keep_serving: bool, as_json: bool) -> None:
    """Plays ``plan`` and prints what came of it; then serves on until Ctrl-C if ``keep_serving``.

    Whatever ends it, no process of it stays behind. Raises CommandError when it can't be played here.
    """
    began = time.monotonic()
    with _ended_by_signals(), _folder(home) as folder, child.server(folder, port) as (url, process):
        with Incumbent(url, timeout=120) as server:
            report = _year(server, plan, folder, began)
        if as_json:
            show_json(report.to_json())
        else:
            from service.demo.table import show

            show(report)
        if keep_serving:
            _stay(process, url, folder, as_json)
        elif report.dropped:
            raise CommandError(
                f"{report.dropped} of {report.requests} requests were dropped, the first because: "
                f"{report.first_failure}",
                remedy="The service must drop none: please report it.",
            )


def _year(server: Incumbent, plan: Plan, home: Path, began: float) -> Report:
    with Watch(server, PROJECT) as watch:
        watch.say(f"the service is at {server.url}: open it in a browser and watch")
        watch.say("reading 336,776 flights, weather and planes")
        january, later = _tables(plan)
        _make_project(server, plan)
        watch.follow()
        watch.say(f"uploading January: {len(january):,} labelled flights")
        _upload(server, january, home)
        watch.say("searching for the first champion")
        first = _first_champion(server, watch)

        from service.demo.stream import Pace, days_of, play_days

        watch.days(sum(1 for _ in days_of(later)))
        left = plan.seconds - plan.table_seconds - (time.monotonic() - began)
        answers = play_days(server, PROJECT, later, plan, Pace(seconds=max(left, 1.0)), watch.day)
        watch.say("scoring the same flights with the frozen January champion")
        return _report(server, home, first, later, answers, began)


def _report(
    server: Incumbent, home: Path, first: int, later: pd.DataFrame, answers: Any, began: float
) -> Report:
    from service.demo.table import Report, by_month, frozen

    lines = by_month(later, answers, frozen(home, PROJECT, first, later))
    return Report(
        lines=lines,
        promotions=server.promotions(PROJECT),
        runs=server.runs(PROJECT),
        requests=answers.requests,
        rows=len(later),
        dropped=answers.dropped,
        first_failure=answers.first_failure,
        labels=answers.labels,
        p50_ms=answers.percentile_ms(0.5),
        p99_ms=answers.percentile_ms(0.99),
        seconds=time.monotonic() - began,
        url=server.url,
        home=str(home),
    )


def _tables(plan: Plan) -> tuple[pd.DataFrame, pd.DataFrame]:
    """January, and what comes after it."""
    from service.demo import flights

    try:
        played = plan.table(flights.flights())
    except ImportError as error:
        raise CommandError(
            "The flights are not installed.", remedy="Run 'make demo', or pip install 'incumbent[demo]'."
        ) from error
    in_january = played[flights.TIME].dt.tz_convert(flights.NEW_YORK).dt.month == 1
    return played[in_january].reset_index(drop=True), played[~in_january].reset_index(drop=True)


def _make_project(server: Incumbent, plan: Plan) -> None:
    from service.demo import flights

    server.create_project(
        PROJECT,
        task="classification",
        target=flights.TARGET,
        metric="roc_auc",
        time_column=flights.TIME,
        id_column=flights.ID,
        policy=plan.policy(),
    )


def _upload(server: Incumbent, january: pd.DataFrame, home: Path) -> None:
    path = home / "january.csv.gz"
    january.to_csv(
        path,
        index=False,
        date_format="%Y-%m-%dT%H:%M:%SZ",
        compression={"method": "gzip", "compresslevel": 3},
    )
    server.upload(PROJECT, path)
    path.unlink()


def _first_champion(server: Incumbent, watch: Watch) -> int:
    """The version of the first champion, once it answers. The service starts the first run by itself."""
    told = 0
    while (champion := server.project(PROJECT).get("champion")) is None:
        runs = server.runs(PROJECT)
        ended = [run for run in runs if run["status"] in ("completed", "failed", "cancelled")]
        if runs and len(ended) == len(runs) > told:
            told = len(ended)
            if told >= FIRST_TRIES:
                raise CommandError(f"No first champion after {told} runs: {_why(runs[0])}")
            watch.say(f"run {runs[0]['run']}: {_why(runs[0])}; searching again")
            server.start_run(PROJECT, reason="the demo needs a first champion")
        time.sleep(0.25)
    watch.say("loading the first champion")
    while (state := server.champion(PROJECT))["served"] != champion:
        deployed = state["last_deployment"]
        if deployed is not None and deployed["status"] == "failed":
            raise CommandError(f"Champion v{champion} can't be served: {deployed['reason']}")
        time.sleep(0.1)
    return int(champion)


def _why(run: Any) -> str:
    return str((run.get("verdict") or {}).get("reason") or run.get("error") or run["status"])


def _stay(process: subprocess.Popen[str], url: str, home: Path, as_json: bool) -> None:
    if not as_json:
        out().print(
            f"\nThe service stays up: open {url} in a browser (the API: {url}/docs). Home {home}. Ctrl-C ends it.",
            markup=False,
        )
    with contextlib.suppress(KeyboardInterrupt):
        process.wait()


@contextlib.contextmanager
def _folder(home: Path | None) -> Iterator[Path]:
    """The folder given, which stays, or one that is gone in the end."""
    if home is not None:
        if (home / "registry.db").exists():
            raise CommandError(f"{home} holds a registry already.", remedy="Give a new folder with --home.")
        yield home.absolute()
        return
    made = Path(tempfile.mkdtemp(prefix="incumbent-demo-"))
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


@contextlib.contextmanager
def _ended_by_signals() -> Iterator[None]:
    """SIGTERM and SIGHUP end the demo as Ctrl-C does: in good order."""

    def end(number: int, frame: Any) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
