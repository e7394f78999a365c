"""The journal's interface for the rest of the agent: accept, log, record, look up, recover."""

from __future__ import annotations

import asyncio
import functools
import logging
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from oslo_config import cfg

from nova_cachemig.agent.journal import changes, expired, queries
from nova_cachemig.agent.journal.database import cause_of
from nova_cachemig.agent.journal.errors import JournalError
from nova_cachemig.agent.journal.failpoints import Failpoints
from nova_cachemig.agent.journal.kept import KeptResponses
from nova_cachemig.agent.journal.lock import DirectoryLock
from nova_cachemig.agent.journal.opening import Opened, open_database
from nova_cachemig.agent.journal.owner import Owner
from nova_cachemig.agent.journal.progress import ProgressLog
from nova_cachemig.agent.journal.queries import QueueState
from nova_cachemig.agent.journal.reader import DATABASE_ERRORS, Reader
from nova_cachemig.agent.journal.record import micros, response_to_row, to_row
from nova_cachemig.agent.journal.recovery import Recovered
from nova_cachemig.agent.journal.space import FreeSpace
from nova_cachemig.agent.journal.statements import (
    Append,
    Done,
    Execute,
    RaiseSendLimit,
    RecordResponse,
    SetState,
)
from nova_cachemig.agent.journal.totals import WriteTotals
from nova_cachemig.agent.journal.writer import GroupCommit
from nova_cachemig.model.write import AcceptedWrite, GuestResponse, WriteState

LOG = logging.getLogger(__name__)


class Journal(Reader):
    """One agent's journal. Call all methods in the event loop's thread."""

    def __init__(self, conf: cfg.ConfigOpts, failpoints: Failpoints | None = None) -> None:
        self._conf = conf
        self.state_dir = Path(conf.agent.state_dir)
        super().__init__(self.state_dir)
        self.failpoints = failpoints or Failpoints()
        self.totals = WriteTotals()
        self.space = FreeSpace(self.state_dir, conf.journal.min_free)
        self._kept = KeptResponses(conf.journal.max_kept)
        self._progress = ProgressLog(self.state_dir / "progress.log")
        self._lock = DirectoryLock(self.state_dir)
        self.lost = asyncio.Event()
        """Set when another agent has taken over the database: this one must end."""
        self._opened: Opened | None = None
        self._writer: GroupCommit | None = None

    async def open(self) -> Recovered:
        """Lock the directory, upgrade the tables, sort the writes that a crash left.

        Raises JournalError (JournalLocked for a second agent); then nothing stays open.
        """
        self._lock.take()
        try:
            self._opened = await asyncio.to_thread(
                open_database, self._conf, self.spool, self._progress, self._kept
            )
        except BaseException as exc:
            self._progress.close()
            self._lock.release()
            if isinstance(exc, (OSError, *DATABASE_ERRORS)):  # e.g. a full disk; the content stays
                why = cause_of(exc)
                raise JournalError(f"cannot open the journal in {self.state_dir}: {why}") from exc
            raise
        self._engine = self._opened.engine
        recovered = self._opened.recovered
        if recovered.waiting:
            LOG.info(
                "Found %d writes without a response; %d of them may have been sent and are sent "
                "again",
                recovered.waiting,
                len(recovered.resent),
            )
        loop = asyncio.get_running_loop()

        def on_lost() -> None:
            loop.call_soon_threadsafe(self.lost.set)

        self.owner.start(on_lost)
        self._writer = GroupCommit(self.engine, self.failpoints, self.owner)
        self._writer.start()
        return recovered

    @property
    def owner(self) -> Owner:
        """The ownership of the database. Only while the journal is open."""
        assert self._opened is not None, "the journal is not open"
        return self._opened.owner

    @property
    def writer(self) -> GroupCommit:
        """The group commit. Only while the journal is open."""
        assert self._writer is not None, "the journal is not open"
        return self._writer

    async def close(self) -> None:
        """Commit what was submitted, close the database and unlock the directory."""
        if self._writer is not None:
            await self._writer.stop()
            self._writer = None
        await asyncio.to_thread(functools.partial(self._progress.close, sync=True))
        self._reader.shutdown()
        if self._opened is not None:
            await asyncio.to_thread(self._opened.close)
            self._opened = self._engine = None
        self._lock.release()

    # --- changes

    def append(
        self,
        write: AcceptedWrite,
        send_limit: int | None,
        key: tuple[str, str] | None,
        done: Done,
        on_withdrawn: Callable[[], None] = lambda: None,
    ) -> None:
        """Accept a write. Calls ``done(None)`` once it is on disk, else ``done(NotAccepted)``.

        ``done(AcceptanceUnknown)`` means that it may be on disk: its spool file must stay. Then
        ``on_withdrawn`` is called as soon as it is certainly not there, and never will be.
        ``key``: digest and fingerprint, if the client chose an Idempotency-Key.
        """

        def withdrawn(_error: BaseException | None) -> None:
            if write.body.spool is not None:
                self._reader.submit(self.spool.remove, write.body.spool)
            on_withdrawn()

        row = to_row(write, self.spool.cipher)
        self.writer.submit(Append(write, row, send_limit, key, done, withdrawn))

    def raise_send_limit(self, service: str, send_limit: int, done: Done) -> None:
        """Allow writes up to ``send_limit`` to be sent. Calls ``done(None)`` once durable."""
        self.writer.submit(RaiseSendLimit(service, send_limit, done))

    def log_sent(self, write: AcceptedWrite) -> None:
        """Call before a write's first byte is sent. Raises OSError: then it must not be sent."""
        if not self.owner.may_send:
            raise PermissionError("another agent may own the journal's database by now")
        self._progress.log_sent(write.service, write.position)
        self.failpoints.hit("sent")

    def log_response(self, write: AcceptedWrite, response: GuestResponse) -> bool:
        """Log the response; :meth:`record_response` must follow. False: logging failed."""
        logged = True
        try:
            self._progress.log_response(write.service, write.position, response)
        except OSError as exc:
            logged = False
            LOG.warning(
                "The response to %s is not logged; a crash now would lose it: %s", write.name, exc
            )
        self.failpoints.hit("responded")
        return logged

    def record_response(
        self,
        write: AcceptedWrite,
        response: GuestResponse,
        *,
        keep: bool,
        can_wait: bool,
        done: Done,
    ) -> None:
        """Record on disk that the guest has responded; with ``keep``, also the response itself.

        Keep it if a client may ask for it later. ``can_wait``: see :meth:`GroupCommit.submit`.
        """

        def recorded(error: BaseException | None) -> None:
            if error is None:  # else the entry keeps the write from being sent again
                self._progress.forget(write.service, write.position)
                if write.body.spool is not None:
                    self._reader.submit(self.spool.remove, write.body.spool)
            self.failpoints.hit("marked")
            done(error)
            if error is None and row is None and response.body.spool is not None:
                self._reader.submit(self.spool.remove, response.body.spool)

        row: dict[str, Any] | None = None
        if keep:
            at, cipher = micros(time.time()), self.spool.cipher
            row = response_to_row(response, write.service, write.position, at, cipher)
        step = RecordResponse(write.service, write.position, row, recorded)
        self.writer.submit(step, can_wait=can_wait)
        if keep and self._kept.add(write.service, response.body.length):
            self._drop_responses(write.service)

    def _drop_responses(self, service: str) -> None:
        """Drop the oldest kept responses of a service that exceeds its budget."""
        left, names = 0, list[str]()

        def work(connection: sa.Connection) -> None:
            nonlocal left
            left, names[:] = self._kept.drop(connection, service)

        def done(error: BaseException | None) -> None:
            for name in names if error is None else ():
                self._reader.submit(self.spool.remove, name)
            if self._kept.dropped(service, 0 if error else left):
                self._drop_responses(service)

        self.writer.submit(Execute(work, done))

    async def quarantine(self, service: str, position: int, state: WriteState, note: str) -> None:
        """Put a write into quarantine; ``note`` tells the operator why. Raises JournalError."""
        step = SetState(service, position, state, micros(time.time()), note)
        await self.writer.submit_and_wait(step)
        self._progress.forget(service, position)

    def abandon(
        self, service: str, through: int, note: str, sent: Sequence[int], done: Done
    ) -> None:
        """Leave all accepted writes up to a position to the operator; ``note`` is the reason.

        ``sent``: the positions of those that :meth:`log_sent` has logged.
        """
        at = micros(time.time())

        def abandoned(error: BaseException | None) -> None:
            if error is None:
                for position in sent:
                    self._progress.forget(service, position)
            done(error)

        step = Execute(lambda c: changes.abandon(c, service, through, at, note), abandoned)
        self.writer.submit(step)

    def keep_response(self, service: str, position: int, done: Done) -> None:
        """Keep the response when it arrives: the client gets a status URL."""
        self.writer.submit(Execute(lambda c: changes.keep_response(c, service, position), done))

    def set_state(
        self, service: str, position: int, state: WriteState, note: str, done: Done
    ) -> None:
        """As :meth:`quarantine`, without waiting."""

        def recorded(error: BaseException | None) -> None:
            if error is None:
                self._progress.forget(service, position)
            done(error)

        self.writer.submit(SetState(service, position, state, micros(time.time()), note, recorded))

    def move(self, old: int, write: AcceptedWrite, done: Done) -> None:
        """Accept a write that the operator wants sent again, at its new position."""
        row, at = to_row(write, self.spool.cipher), micros(time.time())
        self.writer.submit(Execute(lambda c: changes.move(c, old, row, at), done))

    def add_key(self, service: str, first: str, digest: str, marks: str, done: Done) -> None:
        """Let the request with the digest ``first`` also be found by ``digest``."""
        step = Execute(lambda c: changes.add_key(c, service, first, digest, marks), done)
        self.writer.submit(step)

    async def run(self, work: Callable[[sa.Connection], Any]) -> None:
        """Run idempotent statements in the next group commit: they may be run twice."""
        await self.writer.submit_and_wait(Execute(work))

    async def delete_expired(self, older_than: float) -> int:
        """Delete the writes that ended before ``older_than`` (UNIX s), and their keys.

        Also delete old records of finished handovers.
        Returns the number of deleted spool files.
        """
        names: list[str] = []

        def work(connection: sa.Connection) -> None:
            names[:] = expired.delete_writes(connection, micros(older_than))
            expired.delete_handovers(connection, older_than)

        await self.run(work)
        for name in names:  # the file system may need long for a large file
            await asyncio.to_thread(self.spool.remove, name)
        return len(names)

    async def queue_state(self, service: str) -> QueueState:
        """Return the state of a service. Inserts its row if there is none."""
        found: list[QueueState] = []

        def work(connection: sa.Connection) -> None:
            found[:] = [queries.queue_state(connection, service)]

        await self.run(work)
        return found[0]
