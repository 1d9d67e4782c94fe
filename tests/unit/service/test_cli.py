from __future__ import annotations

import json
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from service.cli import app

NOWHERE = "http://127.0.0.1:9"
"""The discard port: nobody listens there."""


def incumbent(*arguments: str, env: dict[str, str] | None = None) -> Result:
    clean = {"INCUMBENT_URL": None, "INCUMBENT_KEY": None, "INCUMBENT_HOME": None, "COLUMNS": "200"}
    return CliRunner().invoke(app, list(arguments), env={**clean, **(env or {})})


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_help_names_every_command_and_the_exit_codes() -> None:
    result = incumbent("--help")
    assert result.exit_code == 0
    for word in ("serve", "demo", "project", "upload", "predict", "feedback", "retrain", "models", "promote"):
        assert word in result.stdout
    for word in ("rollback", "key", "doctor", "Exit codes"):
        assert word in result.stdout


def test_help_imports_nothing_heavy() -> None:
    heavy = ["fastapi", "pandas", "numpy", "sklearn", "httpx", "sqlalchemy", "pydantic_settings"]
    code = (
        "import sys; from typer.testing import CliRunner; from service.cli import app; "
        "assert CliRunner().invoke(app, ['--help']).exit_code == 0; "
        f"print([name for name in {heavy} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_an_unknown_command_is_a_wrong_call() -> None:
    assert incumbent("retrian", "flights").exit_code == 2


def test_a_missing_argument_is_a_wrong_call() -> None:
    assert incumbent("upload", "flights").exit_code == 2


def test_a_server_out_of_reach_is_said_in_one_line_with_the_remedy() -> None:
    result = incumbent("models", "flights", "--url", NOWHERE)
    assert result.exit_code == 3
    assert NOWHERE in result.stderr
    assert "incumbent serve" in result.stderr
    assert "Traceback" not in result.stderr
    assert result.stdout == ""


def test_the_address_comes_from_the_environment_too() -> None:
    result = incumbent("project", "list", env={"INCUMBENT_URL": "http://127.0.0.1:19"})
    assert result.exit_code == 3
    assert "http://127.0.0.1:19" in result.stderr


def test_something_that_is_no_address_is_said_so() -> None:
    result = incumbent("project", "list", "--url", "http://127.0.0.1:none")
    assert result.exit_code == 1
    assert "no address" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("project", "set", "p"), "Nothing to change"),
        (("project", "set", "p", "--policy", "{cooldown"), "not JSON"),
        (("project", "set", "p", "--policy", "@missing.json"), "can't be read"),
        (("predict", "p"), "Give the rows"),
        (("predict", "p", "none.csv"), "no file none.csv"),
        (("feedback", "p"), "Give the labels"),
        (("feedback", "p", "--label", "17"), "ID=LABEL"),
        (("key", "create", "--scope", "root"), "no scope 'root'"),
        (("serve", "--port", "70000"), "port"),
        (("serve", "--log-level", "loud"), "no log level"),
    ],
)
def test_a_wrong_call_says_what_is_wrong_and_exits_two(arguments: tuple[str, ...], said: str) -> None:
    result = incumbent(*arguments, env={"INCUMBENT_URL": NOWHERE})
    assert result.exit_code == 2, result.output
    assert said in result.stderr


def test_a_row_that_is_not_json_is_said_so() -> None:
    result = incumbent("predict", "p", "--row", "a=1", "--url", NOWHERE)
    assert result.exit_code == 1
    assert "--row is not JSON" in result.stderr


def test_a_missing_upload_is_said_so() -> None:
    result = incumbent("upload", "p", "none.csv", "--url", NOWHERE)
    assert result.exit_code == 1
    assert "none.csv" in result.stderr


def test_a_key_is_made_listed_and_revoked_on_the_home_folder(tmp_path: Path) -> None:
    home = str(tmp_path / "home")
    made = json.loads(incumbent("key", "create", "--scope", "data", "--home", home, "--json").stdout)
    assert made["secret"].startswith("inc_")
    assert made["scopes"] == ["data"]
    listed = incumbent("key", "list", "--home", home)
    assert made["key"] in listed.stdout
    assert made["secret"] not in listed.stdout
    assert incumbent("key", "revoke", made["key"], "--home", home).exit_code == 0
    keys = json.loads(incumbent("key", "list", "--home", home, "--json").stdout)["keys"]
    assert keys[0]["revoked_at"] is not None


def test_revoking_an_unknown_key_is_refused(tmp_path: Path) -> None:
    result = incumbent("key", "revoke", "00000000", "--home", str(tmp_path))
    assert result.exit_code == 4
    assert "key list" in result.stderr


def test_a_server_beyond_loopback_refuses_to_start_without_a_key(tmp_path: Path) -> None:
    result = incumbent("serve", "--host", "0.0.0.0", "--port", "0", "--home", str(tmp_path))
    assert result.exit_code == 2
    assert "Refusing to listen on 0.0.0.0" in result.stderr
    assert "incumbent key create --scope admin" in result.stderr


def test_a_taken_port_is_said_with_the_remedy(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        result = incumbent("serve", "--port", str(port), "--home", str(tmp_path))
    assert result.exit_code == 1
    assert f"127.0.0.1:{port}" in result.stderr
    assert "--port" in result.stderr


def test_doctor_finds_nothing_wrong_on_a_fresh_machine(tmp_path: Path) -> None:
    home = tmp_path / "none"
    result = incumbent("doctor", "--home", str(home), "--url", NOWHERE, "--json")
    assert result.exit_code == 0, result.output
    checks = {check["check"]: check["ok"] for check in json.loads(result.stdout)["checks"]}
    assert checks["python"] is True
    assert checks["libraries"] is True
    assert {checks[f"engine {name}"] for name in ("flaml", "portfolio", "sklearn", "tpot")} == {True}
    assert checks["home"] is None
    assert checks["server"] is None
    assert not home.exists(), "looking must not make anything"


def test_doctor_finds_a_signing_key_that_others_may_read(tmp_path: Path) -> None:
    incumbent("key", "create", "--scope", "admin", "--home", str(tmp_path))
    key = tmp_path / "keys" / "signing.key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    key.chmod(0o644)
    result = incumbent("doctor", "--home", str(tmp_path), "--url", NOWHERE)
    assert result.exit_code == 1
    assert "chmod 600" in result.stdout
