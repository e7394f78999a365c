"""The journal's reads: queries in a separate thread, beside the group commits."""

from __future__ import annotations

import asyncio
import concurrent.futures
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, TypeVar

import sqlalchemy as sa
import tenacity
from oslo_db import exception as db_exc

from nova_cachemig.agent.journal import queries
from nova_cachemig.agent.journal.database import cause_of
from nova_cachemig.agent.journal.errors import JournalError
from nova_cachemig.agent.journal.queries import StoredWrite, UnreadableWrite, WriteRow
from nova_cachemig.agent.journal.spool import Spool
from nova_cachemig.model.write import AcceptedWrite, Body

T = TypeVar("T")

DATABASE_ERRORS: Final = (db_exc.DBError, sa.exc.SQLAlchemyError, sqlite3.Error)
_GIVE_UP: Final = 5.0  # seconds for which a query waits for an unreachable database


class Reader:
    """Queries that see what is committed. Call all methods in the event loop's thread."""

    def __init__(self, state_dir: Path) -> None:
        self.spool = Spool(state_dir / "spool")
        self._engine: sa.Engine | None = None
        self._reader = concurrent.futures.ThreadPoolExecutor(1, "journal-reader")

    @property
    def engine(self) -> sa.Engine:
        """The database engine. Only while the journal is open."""
        assert self._engine is not None, "the journal is not open"
        return self._engine

    async def read(self, query: Callable[[sa.Connection], T]) -> T:
        """Run a query in the reader thread. It sees what is committed.

        Raises JournalError if the database is unreachable for 5 s.
        """
        # After a restart of the server the pooled connection is dead; the next try gets a new one.
        retrying = tenacity.AsyncRetrying(
            stop=tenacity.stop_after_delay(_GIVE_UP),
            wait=tenacity.wait_fixed(0.2),
            retry=tenacity.retry_if_exception_type(DATABASE_ERRORS),
            reraise=True,
        )
        try:
            return await retrying(self._read_once, query)
        except DATABASE_ERRORS as exc:
            raise JournalError(f"cannot read the journal's database: {cause_of(exc)}") from exc

    async def _read_once(self, query: Callable[[sa.Connection], T]) -> T:
        def run() -> T:
            with self.engine.connect() as connection:
                return query(connection)

        return await asyncio.get_running_loop().run_in_executor(self._reader, run)

    async def waiting(self, service: str, after: int, limit: int) -> Sequence[WriteRow]:
        """Return the rows of accepted writes behind position ``after``, in order.

        Raises JournalError immediately if the database is unreachable: the caller tries again.
        """
        try:
            return await self._read_once(lambda c: queries.waiting(c, service, after, limit))
        except DATABASE_ERRORS as exc:
            raise JournalError(f"cannot read the journal's database: {cause_of(exc)}") from exc

    def write_from_row(self, row: WriteRow) -> AcceptedWrite | UnreadableWrite:
        """Return the write of a row of :meth:`waiting`."""
        return queries.write_from_row(row, self.spool.cipher)

    async def find(self, service: str, position: int) -> StoredWrite | None:
        """Return one write with its state and response; None if there is none."""
        return await self.read(lambda c: queries.find(c, service, position, self.spool.cipher))

    async def unfinished(self) -> dict[str, int]:
        """Return service → number of writes that wait to be sent."""
        return await self.read(queries.unfinished)

    def remove_body(self, body: Body) -> None:
        """Remove the spool file of a body that no record needs."""
        if body.spool is not None:
            self._reader.submit(self.spool.remove, body.spool)
