"""Engines of other distributions are found, and a broken one harms nobody."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import textwrap
import tomllib
from pathlib import Path

import pytest
from installed_plugins import install

from automl.engines import engine
from automl.engines.catalogue import Listing, listed, names
from automl.engines.imports import lacking
from automl.errors import BrokenEngine, NoSuchEngine

ROOT = Path(__file__).parents[2]
OWN = ("autogluon", "flaml", "portfolio", "sklearn", "tpot")
ENGINE = textwrap.dedent(
    """
    from automl.engines.searcher import Searcher

    class Acme(Searcher):
        name = "acme"

        def propose(self, trials, *, seed, starts=()):
            raise NotImplementedError

        def refit(self, tried, prepared, seconds, *, seed):
            raise NotImplementedError
    """
)


def found(name: str) -> Listing:
    return next(listing for listing in listed() if listing.name == name)


def test_our_own_engines_are_entry_points_too() -> None:
    assert names()[:5] == OWN
    assert {listing.distribution for listing in listed()} == {"incumbent"}
    assert [
        listing.name for listing in listed() if listing.name != "autogluon" and not listing.available
    ] == []


def test_a_plug_in_is_found_loaded_and_named_with_its_distribution(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, monkeypatch, "acme", engines={"acme": "acme_found:Acme"}, acme_found=ENGINE)
    assert names() == (*OWN, "acme")
    listing = found("acme")
    assert (listing.distribution, listing.version, listing.available) == ("acme", "1.0", True)
    assert "acme_found" not in sys.modules
    assert engine("acme", max_trials=3).name == "acme"


@pytest.mark.parametrize(
    ("target", "source", "reason"),
    [
        ("acme_gone:Acme", None, "its module acme_gone is not there"),
        ("acme_lib:Acme", "import no_such_library\n", "it needs no_such_library, which can't be found"),
        ("acme_text:Acme", "def (", "its module acme_text can't be read"),
        ("acme_plain", "", "not module:Class"),
    ],
)
def test_what_is_missing_is_told_without_importing_anything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, target: str, source: str | None, reason: str
) -> None:
    modules = {} if source is None else {target.partition(":")[0]: source}
    install(tmp_path, monkeypatch, "acme", engines={"acme": target}, **modules)
    listing = found("acme")
    assert not listing.available
    assert reason in str(listing.reason)
    with pytest.raises(BrokenEngine, match=r"engine 'acme' of acme 1\.0 can't be used"):
        engine("acme")


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("raise RuntimeError('no licence')", "can't be loaded: RuntimeError: no licence"),
        ("raise SystemExit(3)", "can't be loaded: SystemExit: 3"),
        ("class Acme:\n    def __init__(self, max_trials): ...", "is not a subclass of"),
        (ENGINE.replace('"acme"', '"other"'), "is not a subclass of .* whose name is 'acme'"),
        (ENGINE.replace("propose", "suggest"), "can't be loaded: TypeError: .*abstract"),
    ],
)
def test_a_plug_in_that_breaks_when_it_is_loaded_is_named_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, reason: str
) -> None:
    module = f"acme_{abs(hash(source))}"
    install(tmp_path, monkeypatch, "acme", engines={"acme": f"{module}:Acme"}, **{module: source})
    assert found("acme").available
    with pytest.raises(BrokenEngine, match=f"engine 'acme' of acme 1.0 .*{reason}"):
        engine("acme")


@pytest.mark.parametrize("name", ["blend", "Acme", "acme-pseudo", "../acme"])
def test_a_name_that_files_or_reports_could_not_bear_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    install(tmp_path, monkeypatch, "acme", engines={name: "acme_named:Acme"}, acme_named=ENGINE)
    assert "a name is up to 32 small letters" in str(found(name).reason)


def test_a_name_of_ours_can_not_be_taken_and_of_two_plug_ins_neither_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engines = {"flaml": "acme_twice:Acme", "acme": "acme_twice:Acme"}
    install(tmp_path, monkeypatch, "acme", engines=engines, acme_twice=ENGINE)
    (other := tmp_path / "other").mkdir()
    install(other, monkeypatch, "better", engines={"acme": "acme_twice:Acme"})
    assert found("flaml").distribution == "incumbent"
    assert found("acme").reason == "acme and better both have an engine of this name: uninstall one"


@pytest.mark.parametrize(
    ("check", "reason"),
    [("return None", None), ("return 'no card'", "no card"), ("return 1 / 0", "ZeroDivisionError")],
)
def test_a_check_says_whether_an_engine_is_set_up_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, check: str, reason: str | None
) -> None:
    module = f"acme_check_{abs(hash(check))}"
    install(
        tmp_path,
        monkeypatch,
        "acme",
        engines={"acme": "acme_checked:Acme"},
        checks={"acme": f"{module}:fault"},
        acme_checked=ENGINE,
        **{module: f"def fault():\n    {check}\n"},
    )
    assert (found("acme").reason is None) == (reason is None)
    assert (reason or "") in str(found("acme").reason)


def test_an_unknown_engine_is_refused_with_those_there_are() -> None:
    with pytest.raises(NoSuchEngine, match="there are autogluon, flaml, portfolio, sklearn, tpot"):
        engine("other")


def test_imports_inside_of_functions_and_conditions_are_not_asked_for() -> None:
    assert lacking("automl.engines.tpot_engine") is None
    assert lacking("automl.drift") is None
    assert lacking("automl.nothing") == "its module automl.nothing is not there"


def test_listing_engines_loads_no_engine_and_nothing_that_learns() -> None:
    code = "from automl.engines.catalogue import listed; listed(); import sys, json; print(json.dumps(list(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    loaded = {"flaml", "tpot", "sklearn", "pandas", "numpy", "lightgbm", "xgboost"} & set(
        json.loads(done.stdout)
    )
    assert loaded == set()


@pytest.mark.slow
def test_the_plug_in_of_the_docs_holds_the_contract_as_it_is_pasted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (ROOT / "docs" / "engines.md").read_text()
    files = dict(re.findall(r"cat > (\S+) <<'END'\n(.*?\n)END\n", text, flags=re.DOTALL))
    assert set(files) == {"pyproject.toml", "ladder_engine.py", "test_ladder.py"}
    told = tomllib.loads(files["pyproject.toml"])["project"]
    engines = told["entry-points"]["incumbent.engines"]
    install(tmp_path, monkeypatch, told["name"], engines=engines, ladder_engine=files["ladder_engine.py"])
    (tmp_path / "test_ladder.py").write_text(files["test_ladder.py"])
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_ladder.py"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": f"{tmp_path}:{ROOT}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:]
