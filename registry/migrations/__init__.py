"""The database's history: one revision for each change of its tables, run by Alembic.

A new revision, from a checkout and against a database at the newest one::

    alembic -c <(printf '[alembic]\\nscript_location = registry:migrations\\n') \\
        -x url=sqlite:////tmp/registry.db revision --autogenerate -m "what changes"
"""

from __future__ import annotations

from sqlalchemy import Connection, inspect, text

from registry.database import Database
from registry.errors import RegistryError

NEWEST = "0120"
"""The newest revision, so that a database which is there already costs no import of Alembic."""
_MIGRATION_LOCK = 0x1C0B_0001


def upgrade(db: Database) -> None:
    """Bring the database to the newest revision, in one transaction that others wait for: either all of it
    or nothing. Nothing is written when it is there already.

    Raises RegistryError when the database was made by a newer version of Incumbent.
    """
    if revision(db) == NEWEST:
        return
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", "registry:migrations")
    script = ScriptDirectory.from_config(config)
    with db.write() as connection:
        if db.dialect == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATION_LOCK})
        current = _revision(connection)
        known = {step.revision for step in script.walk_revisions()}
        if current is not None and current not in known:
            raise RegistryError(
                f"the database is at revision {current}, which this version of Incumbent does not know "
                f"(its newest is {NEWEST}); run a newer Incumbent"
            )
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def revision(db: Database) -> str | None:
    """The revision that the database is at; None when it is empty."""
    with db.read() as connection:
        return _revision(connection)


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    found: str | None = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return found
