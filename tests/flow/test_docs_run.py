"""Every command and example of README and docs runs as it stands, and what is not run says why."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator

import pytest
from doc_blocks import RUNNABLE, Reader, blocks, goes_on_from, known_calls, pages, request
from live_server import Server

from service.app import create_app
from service.policy import Policy
from service.reference import pages as reference_pages

PAGES = pages()
TEXTS = {name: path.read_text(encoding="utf-8") for name, path in PAGES.items()}
RUN = [
    name
    for name, text in TEXTS.items()
    if any(block.language in RUNNABLE and block.not_run is None for block in blocks(text))
]
NOT_RUN = {
    "README.md": 2,
    "CONTRIBUTING.md": 1,
    "benchmarks.md": 2,
    "engines.md": 2,
    "how-to/go-to-production.md": 3,
    "labels.md": 2,
    "mlflow.md": 1,
    "newcomer.md": 1,
    "replay.md": 1,
}
"""How many blocks of a page are not run. Each gives its reason in the page; a new one has to be counted here."""


def test_what_is_not_run_is_counted_and_gives_its_reason() -> None:
    marked = {
        name: [block.not_run for block in blocks(text) if block.language in RUNNABLE and block.not_run]
        for name, text in TEXTS.items()
    }
    assert {name: len(reasons) for name, reasons in marked.items() if reasons} == NOT_RUN
    assert [reason for reasons in marked.values() for reason in reasons if len(reason) < 15] == []


def test_what_is_not_run_is_at_least_well_formed() -> None:
    calls = known_calls(create_app().openapi())
    for name, text in TEXTS.items():
        for block in blocks(text):
            if block.language == "sh":
                done = subprocess.run(
                    ["bash", "-n"], input=block.text, capture_output=True, text=True, check=False
                )
                assert done.returncode == 0, f"{name}:{block.line}: {done.stderr}"
                for program in re.findall(r"python (benchmarks/\S+\.py)", block.text):
                    assert (PAGES["README.md"].parent / program).exists(), f"{name}:{block.line}: {program}"
            elif block.language == "http":
                method, path, _ = request(block.text)
                assert any(
                    method == known and pattern.match(path.partition("?")[0]) for known, pattern in calls
                ), f"{name}:{block.line}: there is no {method} {path}"


def test_no_block_hides_behind_an_indentation_or_has_no_language() -> None:
    for name, text in TEXTS.items():
        bare = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
        assert re.findall(r"\n\n    \S.*", bare) == [], f"{name}: fence it, and name its language"
        assert [block.line for block in blocks(text) if not block.language] == [], name


@pytest.mark.parametrize("name", ["policy.md", "probation.md"])
def test_the_policies_shown_are_policies(name: str) -> None:
    shown = [block for block in blocks(TEXTS[name]) if block.language == "json"]
    assert shown
    for block in shown:
        Policy.model_validate_json(block.text)


def test_the_reference_is_that_of_the_code() -> None:
    made = reference_pages(PAGES["README.md"].parent / "docs")
    stale = [name for name, text in made.items() if TEXTS.get(name) != text]
    assert stale == [], "run: python -m service.reference"


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    one = Server(tmp_path_factory.mktemp("docs") / "home", INCUMBENT_ALERT_HOSTS="127.0.0.1")
    try:
        yield one.start()
    finally:
        one.stop()


@pytest.fixture(scope="module")
def readers() -> dict[str, Reader]:
    """By the page they began with, so that pages which go on from it find what it left."""
    return {}


@pytest.mark.slow
@pytest.mark.parametrize("name", RUN)
def test_the_page_runs_as_it_stands(
    name: str,
    shared: Server,
    readers: dict[str, Reader],
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("INCUMBENT_URL", shared.url)
    monkeypatch.delenv("INCUMBENT_KEY", raising=False)
    pages = [name, *ancestors(name)][::-1]
    if pages[0] not in readers:
        folder = tmp_path_factory.mktemp(re.sub(r"\W", "-", pages[0]))
        readers[pages[0]] = Reader(folder, shared.url, {**os.environ, "INCUMBENT_HOME": str(shared.home)})
    reader = readers[pages[0]]
    monkeypatch.chdir(reader.folder)
    for page in pages:
        reader.read(page, TEXTS[page])
    _still(shared)


def ancestors(name: str) -> list[str]:
    """The page that this one goes on from, the one before that, and so on."""
    before = goes_on_from(TEXTS[name])
    return [] if before is None else [before, *ancestors(before)]


def _still(server: Server) -> None:
    """Ends searches that the page left running: the next one's should not wait for them."""
    for project in server.get("/v1/projects")["projects"]:
        for run in server.get(f"/v1/projects/{project['name']}/runs")["runs"]:
            if run["status"] in ("queued", "running"):
                server.http.post(f"/v1/projects/{project['name']}/runs/{run['run']}/cancel")
