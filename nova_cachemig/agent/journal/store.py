"""The journal as the rest of the agent sees it: accept, send, answer, look up, recover."""

from __future__ import annotations

import asyncio
import concurrent.futures
import dataclasses
import logging
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa
import tenacity
from oslo_config import cfg
from oslo_db import exception as db_exc

from nova_cachemig.agent.journal import database, keycheck, keyring, migrate, queries
from nova_cachemig.agent.journal.errors import JournalError
from nova_cachemig.agent.journal.failpoints import Failpoints
from nova_cachemig.agent.journal.lock import DirectoryLock
from nova_cachemig.agent.journal.progress import ProgressLog
from nova_cachemig.agent.journal.queries import QueueState, StoredWrite, UnreadableWrite, WriteRow
from nova_cachemig.agent.journal.record import micros, response_to_row, to_row
from nova_cachemig.agent.journal.recovery import Recovered, recover
from nova_cachemig.agent.journal.spool import Spool
from nova_cachemig.agent.journal.statements import Answered, Append, Done, Extend, SetState, Work
from nova_cachemig.agent.journal.writer import GroupCommit
from nova_cachemig.model.write import GuestResponse, HeldWrite, WriteState

LOG = logging.getLogger(__name__)
T = TypeVar("T")

_FREE_EVERY = 0.5  # seconds between looks at the free space of the disk
_GIVE_UP_READS = 5.0  # seconds for which a query waits for a database that cannot be reached
_ERRORS = (db_exc.DBError, sa.exc.SQLAlchemyError)


class Journal:
    """One agent's journal. All methods are for the event loop's thread."""

    def __init__(self, conf: cfg.ConfigOpts, failpoints: Failpoints | None = None) -> None:
        self._conf = conf
        self.state_dir = Path(conf.agent.state_dir)
        self.failpoints = failpoints or Failpoints()
        self.spool = Spool(self.state_dir / "spool")
        self._progress = ProgressLog(self.state_dir / "progress.log")
        self._lock = DirectoryLock(self.state_dir)
        self._reader = concurrent.futures.ThreadPoolExecutor(1, "journal-reader")
        self._engine: sa.Engine | None = None
        self._writer: GroupCommit | None = None
        self._free_at = 0.0
        self._free = True

    async def open(self) -> Recovered:
        """Take the directory, bring the tables up to date, sort what a crash left.

        Raises JournalError (JournalLocked for a second agent) and leaves nothing half open.
        """
        self._lock.take()
        try:
            recovered = await asyncio.to_thread(self._open)
        except OSError as exc:  # a full disk: all that is there stays for the next start
            self._lock.release()
            raise JournalError(f"The journal in {self.state_dir} cannot be opened: {exc}") from exc
        except BaseException:
            self._lock.release()
            raise
        self._writer = GroupCommit(self.engine, self.failpoints)
        self._writer.start()
        return recovered

    def _open(self) -> Recovered:
        self.spool.cipher = keyring.load(self._conf)
        self.spool.prepare()
        url = database.url_for(self._conf.journal.connection, self.state_dir)
        self._engine = database.create_engine(url)
        migrate.upgrade(self._engine)
        progress = self._progress.open(self.spool.cipher)
        with self._engine.begin() as connection:
            keycheck.check(connection, self._conf.journal.lost_keys, self.spool, progress)
            recovered = recover(connection, progress, self.spool)
        self._progress.reset()
        with self._engine.connect() as connection:
            strays = self.spool.sweep(queries.spool_names(connection))
        if strays:
            LOG.info("Took away %d spool files that no accepted write names", strays)
        return recovered

    @property
    def engine(self) -> sa.Engine:
        """The database's engine; only while the journal is open."""
        assert self._engine is not None, "the journal is not open"
        return self._engine

    @property
    def writer(self) -> GroupCommit:
        """The group commit; only while the journal is open."""
        assert self._writer is not None, "the journal is not open"
        return self._writer

    async def close(self) -> None:
        """Commit what is under way and let the directory go."""
        if self._writer is not None:
            await self._writer.stop()
            self._writer = None
        self._progress.close()
        self._reader.shutdown()
        if self._engine is not None:
            self._engine.dispose()
            self._engine = None
        self._lock.release()

    # --- what changes the journal -------------------------------------------------------------

    def append(
        self, write: HeldWrite, through: int | None, key: tuple[str, str] | None, done: Done
    ) -> None:
        """Accept a write: ``done(None)`` once on disk, ``done(NotAccepted)`` if it never is."""
        row = to_row(write, self.spool.cipher)
        self.writer.submit(Append(write, row, through, key, done))

    def extend(self, service: str, through: int, done: Done) -> None:
        """Let writes up to ``through`` be sent: ``done(None)`` once that is on disk."""
        self.writer.submit(Extend(service, through, done))

    def sent(self, write: HeldWrite) -> None:
        """Call before its first byte goes out. Raises OSError: then it must not go out."""
        self._progress.sent(write.service, write.position)
        self.failpoints.hit("sent")

    def answered(self, write: HeldWrite, answer: GuestResponse) -> bool:
        """Log the response; :meth:`record_response` must follow. False: it is not logged."""
        logged = True
        try:
            self._progress.answered(write.service, write.position, answer)
        except OSError as exc:
            logged = False
            LOG.warning("Progress of %s not logged (a crash now leaves doubt): %s", write.name, exc)
        self.failpoints.hit("answered")
        return logged

    def record_response(
        self, write: HeldWrite, answer: GuestResponse, *, keep: bool, urgent: bool, done: Done
    ) -> None:
        """Put the answer on disk, or just that there is one.

        ``keep`` the answer where somebody may ask for it later.
        """

        def recorded(error: BaseException | None) -> None:
            self._recorded(write.service, write.position)
            if write.body.spool is not None:
                self._reader.submit(self.spool.remove, write.body.spool)
            self.failpoints.hit("marked")
            done(error)

        row: dict[str, Any] | None = None
        if keep:
            at, cipher = micros(time.time()), self.spool.cipher
            row = response_to_row(answer, write.service, write.position, at, cipher)
        self.writer.submit(Answered(write.service, write.position, row, recorded), urgent=urgent)

    def _recorded(self, service: str, position: int) -> None:
        self._progress.recorded(service, position)

    async def quarantine(self, service: str, position: int, state: WriteState, note: str) -> None:
        """Leave a write to a person, with the reason."""
        await self.writer.do(SetState(service, position, state, micros(time.time()), note))
        self._recorded(service, position)

    def move(self, old: int, write: HeldWrite, done: Done) -> None:
        """Accept again, at its new position, what a person wants sent again."""
        row, at = to_row(write, self.spool.cipher), micros(time.time())
        self.writer.submit(Work(lambda c: queries.move(c, old, row, at), done))

    async def run(self, work: Callable[[sa.Connection], Any]) -> None:
        """Perform statements, which may be performed twice, in the next group commit."""
        await self.writer.do(Work(work))

    async def forget(self, older_than: float) -> int:
        """Take away answered writes that ended before ``older_than`` (UNIX s), and their keys."""
        names: list[str] = []

        def work(connection: sa.Connection) -> None:
            names[:] = queries.forget(connection, micros(older_than))

        await self.run(work)
        for name in names:
            self.spool.remove(name)
        return len(names)

    # --- what reads it ------------------------------------------------------------------------

    async def read(self, query: Callable[[sa.Connection], T]) -> T:
        """Run a query in the reader's thread; it sees what is committed.

        Raises JournalError where the database stays away for 5 s.
        """
        # A connection of the pool is dead after a restart of the server: the next is a new one.
        retrying = tenacity.AsyncRetrying(
            stop=tenacity.stop_after_delay(_GIVE_UP_READS),
            wait=tenacity.wait_fixed(0.2),
            retry=tenacity.retry_if_exception_type(_ERRORS),
            reraise=True,
        )
        try:
            return await retrying(self._read_once, query)
        except _ERRORS as exc:
            raise JournalError(f"The journal's database cannot be read: {exc}") from exc

    async def _read_once(self, query: Callable[[sa.Connection], T]) -> T:
        def run() -> T:
            with self.engine.connect() as connection:
                return query(connection)

        return await asyncio.get_running_loop().run_in_executor(self._reader, run)

    async def queue_state(self, service: str) -> QueueState:
        """Where a service stands; makes its row if it has none."""
        found: list[QueueState] = []

        def work(connection: sa.Connection) -> None:
            found[:] = [queries.queue_state(connection, service)]

        await self.run(work)
        return found[0]

    async def waiting(self, service: str, after: int, limit: int) -> Sequence[WriteRow]:
        """Return accepted writes behind ``after`` in order, for :meth:`readable`.

        Raises JournalError at once where the database is away: the caller asks again.
        """
        try:
            return await self._read_once(lambda c: queries.waiting(c, service, after, limit))
        except _ERRORS as exc:
            raise JournalError(f"The journal's database cannot be read: {exc}") from exc

    def readable(self, row: WriteRow) -> HeldWrite | UnreadableWrite:
        """Return the write of a row."""
        return queries.readable(row, self.spool.cipher)

    async def find(self, service: str, position: int) -> StoredWrite | None:
        """Return one write with its state and answer."""
        return await self.read(lambda c: queries.find(c, service, position, self.spool.cipher))

    async def unfinished(self) -> dict[str, int]:
        """Return service → writes that wait to be sent."""
        return await self.read(queries.unfinished)

    def has_room(self) -> bool:
        """Whether the disk has the room that [journal] min_free asks for. Looks twice a second."""
        now = time.monotonic()
        if now - self._free_at > _FREE_EVERY:
            self._free_at = now
            stat = os.statvfs(self.state_dir)
            free = stat.f_bavail * stat.f_frsize >= self._conf.journal.min_free
            if free != self._free:
                word = "has" if free else "has no"
                LOG.warning("%s %s room for new writes", self.state_dir, word)
            self._free = free
        return self._free


def later(write: HeldWrite) -> HeldWrite:
    """Return the write with a client that will ask for the answer later."""
    return dataclasses.replace(write, wants_later=True)
