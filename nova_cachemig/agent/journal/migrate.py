"""Upgrades the tables with alembic."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.util import CommandError
from oslo_db import exception as db_exc

from nova_cachemig.agent.journal.database import cause_of
from nova_cachemig.agent.journal.errors import JournalError

HEAD: Final = "0006"
"""The newest revision in ``migrations/versions``."""


def configuration(connection: sa.Connection) -> Config:
    """Return alembic's configuration, which replaces an alembic.ini."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    return config


def upgrade(engine: sa.Engine) -> None:
    """Create the tables, or upgrade them to the newest revision.

    Raises JournalError. Tables of a newer version are an error too; they are left unchanged.
    """
    try:
        with engine.begin() as connection:
            if MigrationContext.configure(connection).get_current_revision() != HEAD:
                command.upgrade(configuration(connection), "head")
    except CommandError as exc:
        raise JournalError(
            f"this agent does not know the version of the journal's tables: {exc}"
        ) from exc
    except (sa.exc.SQLAlchemyError, db_exc.DBError) as exc:
        raise JournalError(f"cannot upgrade the journal's tables: {cause_of(exc)}") from exc
