"""Brings the tables up to date, by alembic."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.util import CommandError
from oslo_db import exception as db_exc

from nova_cachemig.agent.journal.errors import JournalError

HEAD: Final = "0003"
"""The newest revision in ``migrations/versions``."""


def configuration(connection: sa.Connection) -> Config:
    """Return alembic's configuration, without an alembic.ini."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    return config


def upgrade(engine: sa.Engine) -> None:
    """Create or change the tables as this version needs them.

    Raises JournalError, for tables of a newer version too: they are left as they are.
    """
    try:
        with engine.begin() as connection:
            if MigrationContext.configure(connection).get_current_revision() != HEAD:
                command.upgrade(configuration(connection), "head")
    except CommandError as exc:
        raise JournalError(
            f"The journal's tables are of a version that this agent does not know: {exc}"
        ) from exc
    except (sa.exc.SQLAlchemyError, db_exc.DBError) as exc:
        raise JournalError(f"The journal's tables cannot be brought up to date: {exc}") from exc
