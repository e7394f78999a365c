"""Group commit: one thread that commits all that waits in one transaction.

Steps come in from the event loop in their order and are answered there in the same order, one
wake-up of the loop a commit. While a commit is being synced the next one gathers.

What a failed commit means:

* An *append* whose transaction certainly did not happen fails with :class:`NotAccepted`.
* Where that is unknown (the connection to a database server was lost during COMMIT), the thread
  waits for the database and looks: nobody is told "not accepted" of a write that is on disk.
* Everything else (answers, marks) is tried again until it is done.
* A step that can never succeed (a value that the database does not take) must not stop the others:
  when the reason is not the database's state, each step of the batch is committed alone.
"""

from __future__ import annotations

import asyncio
import collections
import dataclasses
import logging
import queue
import sqlite3
import threading
import time
from collections.abc import Sequence
from typing import Final

import sqlalchemy as sa
from oslo_db import exception as db_exc

from nova_cachemig.agent.journal import database
from nova_cachemig.agent.journal.errors import JournalError, NotAccepted
from nova_cachemig.agent.journal.failpoints import FailpointHit, Failpoints
from nova_cachemig.agent.journal.statements import Answered, Step, appended, perform, perform_alone
from nova_cachemig.agent.journal.statements import Append as AppendStep

LOG = logging.getLogger(__name__)

MAX_BATCH: Final = 512  # steps after which a transaction takes no more: bounds the wait for it
_LAZY: Final = 0.02  # seconds for which a step waits for others if nobody waits for it
# Steps whose ends are told in one turn of the loop: the guest's next answer waits no longer.
_TELL_AT_ONCE: Final = 8
_RETRY = 0.2  # seconds between tries while the database is away or full
_GIVE_UP_APPENDS = 5.0  # seconds for which appends wait for a database that cannot be reached

_ERRORS = (db_exc.DBError, sa.exc.SQLAlchemyError, OSError)
# What may go away by itself: a server that restarts, a disk that is full, a deadlock.
_PASSING = (
    db_exc.DBConnectionError,
    db_exc.DBDeadlock,
    sa.exc.OperationalError,
    sqlite3.OperationalError,
    OSError,
)


@dataclasses.dataclass(slots=True)
class WriterCounts:
    """What the thread did since it was started."""

    commits: int = 0
    steps: int = 0
    failed: int = 0  # commits
    seconds: float = 0.0  # in transactions
    synced: float = 0.0  # in COMMIT alone: the database's write and fsync


class _Unknown(Exception):
    """The connection went away during COMMIT."""


class _Away(OSError):
    """There is no connection to be had: a server that restarts refuses it, or is not ready."""


class GroupCommit:
    """The thread and its queue."""

    def __init__(self, engine: sa.Engine, failpoints: Failpoints) -> None:
        self._engine = engine
        self._failpoints = failpoints
        self._loop: asyncio.AbstractEventLoop | None = None
        self._queue: queue.SimpleQueue[list[Step] | None] = queue.SimpleQueue()
        self._gathered: list[Step] = []  # submitted, not yet in the queue
        self._flush: asyncio.Handle | None = None  # puts them there
        self._flush_soon = False
        self._owed: list[Step] = []  # failed, to be tried again
        self._connection: sa.Connection | None = None
        self._thread: threading.Thread | None = None
        self._untold: collections.deque[tuple[Step, BaseException | None]] = collections.deque()
        self.counts = WriterCounts()

    def start(self) -> None:
        """Start the thread; results are told to the running loop."""
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._run, name="journal-writer", daemon=True)
        self._thread.start()

    async def stop(self) -> None:
        """Commit what was submitted, then end the thread."""
        if self._thread is not None:
            self._put()
            self._queue.put(None)
            await asyncio.to_thread(self._thread.join)
            self._thread = None

    def submit(self, step: Step, *, urgent: bool = True) -> None:
        """Queue a step. ``step.done`` is called in the event loop once it is durable or failed.

        One for which nobody waits (not ``urgent``) may lie for 20 ms, so that one
        commit serves many. Steps are performed in the order in which they were submitted.
        """
        if self._thread is None or self._loop is None:
            raise JournalError("The journal is not open")
        self._gathered.append(step)
        urgent = urgent or len(self._gathered) >= MAX_BATCH
        if self._flush is not None and urgent and not self._flush_soon:
            self._flush.cancel()
            self._flush = None
        if self._flush is None:
            self._flush_soon = urgent
            # not at once: other requests that came with this one share its commit
            self._flush = (
                self._loop.call_soon(self._put)
                if urgent
                else self._loop.call_later(_LAZY, self._put)
            )

    def _put(self) -> None:
        if self._flush is not None:
            self._flush.cancel()
            self._flush = None
        if self._gathered:
            self._queue.put(self._gathered)
            self._gathered = []

    async def do(self, step: Step) -> None:
        """Queue a step and wait until it is durable. Raises NotAccepted."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def done(error: BaseException | None) -> None:
            if not future.done():
                if error is None:
                    future.set_result(None)
                else:
                    future.set_exception(error)

        self.submit(dataclasses.replace(step, done=done))
        await future

    # In the thread from here on.

    def _run(self) -> None:
        ending = False
        while not ending or self._owed:
            batch, ending = self._gather(ending)
            steps = self._owed + batch
            self._owed = []
            if steps:
                self._record_responses(steps)
            if self._owed:
                if ending and not batch:
                    LOG.error("%d marks of the journal could not be written", len(self._owed))
                    break
                time.sleep(_RETRY)
        self._disconnect()

    def _gather(self, ending: bool) -> tuple[list[Step], bool]:
        batch: list[Step] = []
        try:
            steps = self._queue.get(block=not self._owed and not ending)
            while True:
                if steps is None:
                    ending = True
                else:
                    batch += steps
                if len(batch) >= MAX_BATCH:
                    break
                steps = self._queue.get_nowait()
        except queue.Empty:
            pass
        return batch, ending

    def _record_responses(self, steps: list[Step], *, unknown: bool = False) -> None:
        """Commit the steps; append what must be tried again to ``_owed``.

        ``unknown``: whether they are on disk already.
        """
        began = time.monotonic()
        while True:
            try:
                self._commit(steps, look_first=unknown)
            except _Unknown as exc:
                LOG.warning("The database went away during COMMIT; looking what it has: %s", exc)
                unknown = True
            except Exception as exc:
                self.counts.failed += 1
                self._disconnect()
                if not isinstance(exc, _PASSING):
                    self._alone(steps, exc, unknown=unknown)
                    return
                lost = isinstance(exc, (db_exc.DBConnectionError, _Away))
                if not unknown and not (lost and time.monotonic() - began < _GIVE_UP_APPENDS):
                    self._refuse(steps, exc)
                    return
            else:
                self._tell([(step, None) for step in steps])
                return
            time.sleep(_RETRY)

    def _alone(self, steps: list[Step], exc: BaseException, *, unknown: bool) -> None:
        """One of the steps is to blame: let the others pass."""
        if len(steps) > 1:
            for step in steps:
                self._record_responses([step], unknown=unknown)
            return
        step = steps[0]
        LOG.error("The database does not take a step of the journal: %s", exc)
        if isinstance(step, Answered) and step.row is not None:
            # better without the answer than as a write that is still to be sent
            self._record_responses([dataclasses.replace(step, row=None)], unknown=unknown)
            return
        self._tell([(step, NotAccepted(f"The database does not take it: {exc}"))])

    def _refuse(self, steps: list[Step], exc: BaseException) -> None:
        appends = [step for step in steps if isinstance(step, AppendStep)]
        LOG.error("The journal cannot be written (%d writes refused): %s", len(appends), exc)
        error = NotAccepted(f"The journal cannot be written: {exc}")
        self._tell([(step, error) for step in appends])
        self._owed.extend(step for step in steps if not isinstance(step, AppendStep))

    def _commit(self, steps: Sequence[Step], *, look_first: bool) -> None:
        began = time.perf_counter()
        if self._connection is None:
            self._connection = self._connect()
        connection, performed = self._connection, began
        # the failpoint "appended" lies between statements and COMMIT: there must be a COMMIT
        if look_first or self._failpoints.armed("appended") or not perform_alone(connection, steps):
            performed = self._transaction(connection, steps, look_first=look_first)
        else:
            self._pass_synced()
        self.counts.commits += 1
        self.counts.steps += len(steps)
        self.counts.seconds += time.perf_counter() - began
        self.counts.synced += time.perf_counter() - performed

    def _connect(self) -> sa.Connection:
        try:
            return self._engine.connect()
        except (db_exc.DBError, sa.exc.OperationalError) as exc:
            raise _Away(str(exc)) from exc

    def _transaction(
        self, connection: sa.Connection, steps: Sequence[Step], *, look_first: bool
    ) -> float:
        """Return when COMMIT began."""
        with database.begin(connection) as transaction:
            if look_first:
                there = appended(connection, steps)
                steps = [step for step in steps if step not in there]
            perform(connection, steps)
            self._failpoints.hit("appended")
            performed = time.perf_counter()
            try:
                transaction.commit()
            except db_exc.DBConnectionError as exc:
                self._disconnect()
                raise _Unknown(str(exc)) from exc
            self._pass_synced()
        return performed

    def _pass_synced(self) -> None:
        try:
            self._failpoints.hit("synced")
        except FailpointHit as exc:  # as a connection that breaks during COMMIT
            self._disconnect()
            raise _Unknown(str(exc)) from exc

    def _disconnect(self) -> None:
        if self._connection is not None:
            try:
                self._connection.invalidate()
                self._connection.close()
            except _ERRORS as exc:
                LOG.debug("Closing the journal's connection: %s", exc)
            self._connection = None

    def _tell(self, results: list[tuple[Step, BaseException | None]]) -> None:
        if self._loop is None or not results:
            return
        try:
            self._loop.call_soon_threadsafe(self._deliver, results)
        except RuntimeError:  # the loop is closed: the process is ending
            LOG.debug("%d results of the journal came after the loop", len(results))

    # In the event loop again.

    def _deliver(self, results: list[tuple[Step, BaseException | None]]) -> None:
        if not self._untold:
            asyncio.get_running_loop().call_soon(self._tell_some)
        self._untold.extend(results)

    def _tell_some(self) -> None:
        try:
            for _ in range(min(_TELL_AT_ONCE, len(self._untold))):
                step, error = self._untold.popleft()
                if step.done is not None:
                    step.done(error)
        finally:  # one that raises must not keep the others from being told
            if self._untold:
                asyncio.get_running_loop().call_soon(self._tell_some)
