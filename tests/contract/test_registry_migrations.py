"""The migrations make what the tables say, and ledgers that only grow."""

from __future__ import annotations

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from registry_builders import NOW, at_once
from sqlalchemy import Connection, select, text
from sqlalchemy.exc import IntegrityError

from registry import tables as t
from registry.approval_records import NewApproval
from registry.approval_tables import approval_words
from registry.approvals import ask_locked
from registry.database import Database
from registry.errors import RegistryError
from registry.label_tables import revocations
from registry.ledger import Ledger, append_judgement
from registry.migrations import NEWEST, revision, upgrade
from registry.models import Models
from registry.records import NewModel, NewPromotion, Project, PromotionKind


def _differences(connection: Connection) -> list[object]:
    options = {"compare_type": True, "compare_server_default": True}
    return list(compare_metadata(MigrationContext.configure(connection, opts=options), t.metadata))


def test_migrating_an_empty_database_makes_exactly_the_tables_of_the_metadata(empty_url: str) -> None:
    db = Database.open(empty_url)
    assert revision(db) is None
    upgrade(db)
    assert revision(db) == NEWEST
    with db.read() as connection:
        assert _differences(connection) == []
    db.close()


def test_the_newest_revision_is_the_last_of_the_history() -> None:
    config = Config()
    config.set_main_option("script_location", "registry:migrations")
    assert ScriptDirectory.from_config(config).get_current_head() == NEWEST


def test_migrating_again_changes_nothing(db: Database) -> None:
    before = revision(db)
    upgrade(db)
    assert revision(db) == before


def test_a_database_of_a_newer_version_is_refused_and_left_alone(db: Database) -> None:
    with db.write() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(RegistryError, match="newer"):
        upgrade(db)
    assert revision(db) == "9999"


def test_a_migration_that_fails_leaves_nothing_behind(empty_url: str) -> None:
    db = Database.open(empty_url)
    with db.write() as connection:
        connection.execute(text("CREATE TABLE judgements (id INTEGER)"))  # in the way of the second revision
    with pytest.raises(Exception, match="exists"):
        upgrade(db)
    assert revision(db) is None
    with db.write() as connection:
        connection.execute(text("DROP TABLE judgements"))
    upgrade(db)
    db.close()


@pytest.fixture
def entries(db: Database, project: Project, new_model: NewModel) -> None:
    """One entry in each ledger."""
    ledger = Ledger(db)
    version = Models(db).register(project.id, new_model, at=NOW).version
    new = NewPromotion(expected_epoch=0, kind=PromotionKind.PROMOTION, reason="better", actor="judge")
    ledger.promote(project.id, version, new, at=NOW)
    ledger.decide(project.id, outcome="refused", trigger="drift", reason="calm", evidence={}, at=NOW)
    ledger.deployed(project.id, version, "node", "serving", "promoted", at=NOW)
    ledger.emit("incumbent.champion.changed", {}, project_id=project.id, at=NOW)
    with db.write() as connection:
        append_judgement(connection, project.id, ("epoch", 1, 0.03), run=1, at=NOW)
        asked = {"judged": version, "version": version, "run": 1}
        question = NewApproval(epoch=1, champion=1, approvers=1, reason="better", expires_at=NOW)
        ask_locked(connection, project.id, question, **asked, at=NOW)
        word = {"word": "refuse", "who": "api", "reason": "no", "at": NOW}
        connection.execute(approval_words.insert().values(approval_id=1, **word))
        told = {"source": "pseudo", "revoked": 1, "reason": "wrong", "actor": "ann", "at": NOW}
        connection.execute(revocations.insert().values(project_id=project.id, batch=1, **told))


@pytest.mark.usefixtures("entries")
@pytest.mark.parametrize("ledger", t.LEDGERS)
def test_the_database_itself_refuses_to_change_a_ledger(db: Database, ledger: str) -> None:
    table = t.metadata.tables[ledger]
    with db.read() as connection:
        before = connection.execute(select(table)).all()
    assert len(before) == 1
    statements = [f"UPDATE {ledger} SET at = at", f"DELETE FROM {ledger}"]
    if db.dialect == "postgresql":
        statements.append(f"TRUNCATE {ledger}")
    for statement in statements:
        with pytest.raises(IntegrityError, match="only grows"), db.write() as connection:
            connection.execute(text(statement))
    with db.read() as connection:
        assert connection.execute(select(table)).all() == before


def test_many_who_migrate_one_empty_database_at_once_take_turns(empty_url: str) -> None:
    def migrate(_: int) -> str | None:
        db = Database.open(empty_url)
        try:
            upgrade(db)
            return revision(db)
        finally:
            db.close()

    assert len(set(at_once(migrate, threads=4))) == 1
