"""What Alembic runs: the revisions, on the connection (and in the transaction) that it is handed."""

from __future__ import annotations

from alembic import context
from sqlalchemy import Connection, create_engine

# they add their tables to the metadata
from registry import (  # noqa: F401
    alert_tables,
    approval_tables,
    energy_tables,
    forecast_tables,
    label_tables,
    outlier_tables,
    probation_tables,
)
from registry.tables import metadata


def _run(connection: Connection) -> None:
    context.configure(connection=connection, target_metadata=metadata, transactional_ddl=True)
    with context.begin_transaction():
        context.run_migrations()


def _main() -> None:
    connection = context.config.attributes.get("connection")
    if connection is not None:
        _run(connection)
        return
    # From Alembic's own command line: for whoever writes a new revision.
    with create_engine(context.get_x_argument(as_dictionary=True)["url"]).begin() as own:
        _run(own)


_main()
