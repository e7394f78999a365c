"""Opens the journal's database: ownership, tables, recovery, spool."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
from pathlib import Path

import sqlalchemy as sa
from oslo_config import cfg

from nova_cachemig.agent.journal import database, keycheck, keyring, migrate, queries
from nova_cachemig.agent.journal.kept import KeptResponses
from nova_cachemig.agent.journal.owner import Owner
from nova_cachemig.agent.journal.progress import ProgressLog
from nova_cachemig.agent.journal.recovery import Recovered, recover
from nova_cachemig.agent.journal.spool import Spool

LOG = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, slots=True)
class Opened:
    """An open database, its ownership, and the writes that a crash left in it."""

    engine: sa.Engine
    owner: Owner
    recovered: Recovered

    def close(self) -> None:
        """Release the ownership and close all connections."""
        self.owner.release()
        self.engine.dispose()


def open_database(
    conf: cfg.ConfigOpts, spool: Spool, progress: ProgressLog, kept: KeptResponses
) -> Opened:
    """Become the database's owner, upgrade its tables, sort the writes that a crash left.

    Also open ``progress``, load ``kept`` and delete the spool files of no write. Raises
    JournalError and the errors of database and file system; then the database is closed again.
    """
    state_dir = Path(conf.agent.state_dir)
    spool.cipher = keyring.load(conf)
    spool.prepare()
    if not conf.journal.connection:
        database.make_private(state_dir)
    with contextlib.ExitStack() as undo:
        engine = database.create_engine(database.url_for(conf.journal.connection, state_dir))
        undo.callback(engine.dispose)
        database.empty_log(engine)
        migrate.upgrade(engine)
        owner = Owner(engine, state_dir)
        undo.callback(owner.release)
        recovered = _recover(conf, engine, owner, spool, progress, kept)
        with engine.connect() as connection:
            orphans = spool.remove_orphans(queries.spool_names(connection))
        if orphans:
            LOG.info("Deleted %d spool files that belong to no accepted write", orphans)
        undo.pop_all()
    return Opened(engine, owner, recovered)


def _recover(
    conf: cfg.ConfigOpts,
    engine: sa.Engine,
    owner: Owner,
    spool: Spool,
    progress: ProgressLog,
    kept: KeptResponses,
) -> Recovered:
    previous = owner.lock()
    elsewhere = progress.generation() != previous.generation
    if elsewhere:
        with engine.begin() as connection:
            owner.claim(connection, previous)
        owner.wait_for_predecessor(previous)
    progress.allocate()
    entries = progress.open(spool.cipher, previous.generation)
    with engine.begin() as connection:
        if not elsewhere:
            owner.claim(connection, previous)
        keycheck.check(connection, conf.journal.lost_keys, spool, entries)
        recovered = recover(connection, entries, spool)
        kept.load(connection)
    progress.reset(owner.generation, recovered.sent_before(), recovered.ended_before())
    return recovered
