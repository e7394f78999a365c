"""Read access to the journal without the agent, for the command line. Takes no lock."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import sqlalchemy as sa
from alembic.runtime.migration import MigrationContext
from oslo_config import cfg
from oslo_db import exception as db_exc

from nova_cachemig.agent.journal import database, keyring
from nova_cachemig.agent.journal.cipher import CLEAR
from nova_cachemig.agent.journal.database import cause_of
from nova_cachemig.agent.journal.errors import JournalError
from nova_cachemig.agent.journal.migrate import HEAD
from nova_cachemig.agent.journal.schema import HANDOVERS, WRITES
from nova_cachemig.agent.journal.spool import Spool
from nova_cachemig.model.handover import HandoverRecord
from nova_cachemig.model.write import WriteState

LOG = logging.getLogger(__name__)


def engine_of(conf: cfg.ConfigOpts) -> sa.Engine:
    """Connect to the agent's database. Raises JournalError if it is missing or unreadable."""
    path = Path(conf.agent.state_dir) / "journal.sqlite"
    try:
        missing = not conf.journal.connection and not path.exists()
    except OSError as exc:
        raise JournalError(
            f"cannot read {path}: {exc.strerror}. Run the command as root or as the agent's account"
        ) from exc
    if missing:
        raise JournalError(f"no journal at {path}: has the agent run on this node?")
    return database.create_engine(database.url_for(conf.journal.connection, path.parent))


def upgraded_engine_of(conf: cfg.ConfigOpts) -> sa.Engine:
    """Connect to the database if its tables are this version's. Raises JournalError.

    Only the agent upgrades them.
    """
    engine = engine_of(conf)
    try:
        with engine.connect() as connection:
            found = MigrationContext.configure(connection).get_current_revision()
    except (sa.exc.SQLAlchemyError, db_exc.DBError) as exc:
        raise JournalError(f"cannot read the journal's database: {cause_of(exc)}") from exc
    if found != HEAD:
        raise JournalError(
            f"the journal's tables have revision {found or 'none'}, but this version reads "
            f"revision {HEAD}. An agent of this version upgrades older tables when it starts"
        )
    return engine


def spool_of(conf: cfg.ConfigOpts) -> Spool:
    """Return the spool, with the available keys. Without a key only plaintext can be read."""
    try:
        cipher = keyring.load(conf)
    except JournalError as exc:
        LOG.warning("Cannot read encrypted writes: %s", exc)
        cipher = CLEAR
    return Spool(Path(conf.agent.state_dir) / "spool", cipher)


def count_waiting(conf: cfg.ConfigOpts) -> int:
    """Return the number of writes that the guests have not received. Raises JournalError.

    This also works before an upgrade of the tables.
    """
    states = [WriteState.ACCEPTED.value, WriteState.RESEND.value]
    query = sa.select(sa.func.count()).select_from(WRITES).where(WRITES.c.state.in_(states))
    try:
        with engine_of(conf).connect() as connection:
            return int(connection.execute(query).scalar() or 0)
    except (sa.exc.SQLAlchemyError, db_exc.DBError) as exc:
        raise JournalError(f"cannot read the journal's database: {cause_of(exc)}") from exc


def newest_handovers(conf: cfg.ConfigOpts, limit: int) -> list[HandoverRecord]:
    """Return up to ``limit`` handovers, the newest first. Raises JournalError."""
    query = sa.select(HANDOVERS.c.record).order_by(HANDOVERS.c.started.desc()).limit(limit)
    try:
        with engine_of(conf).connect() as connection:
            rows = connection.execute(query).all()
    except (sa.exc.SQLAlchemyError, db_exc.DBError) as exc:
        raise JournalError(f"cannot read the journal's database: {cause_of(exc)}") from exc
    return [HandoverRecord.from_wire(json.loads(row[0])) for row in rows]
