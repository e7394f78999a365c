"""Commits batches of steps, and decides what a failed commit means for each step.

* An *append* whose transaction certainly did not happen fails with :class:`NotAccepted`.
* The outcome is unknown if the connection to a database server is lost during COMMIT. Then the
  committer waits for the database and looks: no client gets "not accepted" for a write that is on
  disk.
* Everything else (responses, send limits, states) is tried again until it succeeds.
* A step that can never succeed (a value that the database rejects) must not stop the others. If the
  database's condition is not the reason of the failure, each step of the batch is committed alone.
"""

from __future__ import annotations

import dataclasses
import logging
import sqlite3
import time
from collections.abc import Callable, Sequence
from typing import Final

import sqlalchemy as sa
from oslo_db import exception as db_exc

from nova_cachemig.agent.journal import database
from nova_cachemig.agent.journal.database import cause_of
from nova_cachemig.agent.journal.errors import NotAccepted
from nova_cachemig.agent.journal.failpoints import FailpointHit, Failpoints
from nova_cachemig.agent.journal.statements import (
    Append,
    RecordResponse,
    Step,
    already_appended,
    perform,
    perform_in_one_statement,
)

LOG = logging.getLogger(__name__)

RETRY_INTERVAL: Final = 0.2  # seconds between tries while the database is unreachable or full
_GIVE_UP_APPENDS: Final = 5.0  # seconds for which appends wait for an unreachable database

_ERRORS = (db_exc.DBError, sa.exc.SQLAlchemyError, OSError)
# Failures that may pass without a change: a server that restarts, a full disk, a deadlock.
_TRANSIENT_ERRORS = (
    db_exc.DBConnectionError,
    db_exc.DBDeadlock,
    sa.exc.OperationalError,
    sqlite3.OperationalError,
    OSError,
)

Result = tuple[Step, BaseException | None]
"""A step and why it failed; None: it is durable."""


@dataclasses.dataclass(slots=True)
class WriterCounts:
    """Counters since the start."""

    commits: int = 0
    steps: int = 0
    transaction_time: float = 0.0  # seconds
    commit_time: float = 0.0  # seconds in COMMIT alone: the database's write and fsync


class _OutcomeUnknown(Exception):
    """The connection was lost during COMMIT."""

    def __init__(self, inner_exception: BaseException) -> None:
        super().__init__()
        self.inner_exception = inner_exception


class _Unreachable(OSError):
    """No connection can be made: a server that restarts refuses it, or is not ready."""

    def __init__(self, inner_exception: BaseException) -> None:
        super().__init__()
        self.inner_exception = inner_exception


class Committer:
    """One connection to the database. For the thread of the group commit."""

    def __init__(
        self,
        engine: sa.Engine,
        failpoints: Failpoints,
        counts: WriterCounts,
        report: Callable[[list[Result]], None],
    ) -> None:
        """``report`` is called with the steps that are durable or have failed for good."""
        self._engine = engine
        self._failpoints = failpoints
        self._counts = counts
        self._report = report
        self._connection: sa.Connection | None = None
        self.to_retry: list[Step] = []  # failed; they must be committed before all later steps

    def take_retries(self) -> list[Step]:
        """Return the steps that must be tried again, which are the caller's from now on."""
        steps, self.to_retry = self.to_retry, []
        return steps

    def commit(self, steps: list[Step], *, unknown: bool = False) -> None:
        """Commit the steps and report them. Those to be tried again are added to :attr:`to_retry`.

        ``unknown``: an earlier try may have committed them already.
        """
        began = time.monotonic()
        while True:
            try:
                self._try_commit(steps, look_first=unknown)
            except _OutcomeUnknown as exc:
                LOG.warning(
                    "Database connection lost during COMMIT; checking the outcome: %s",
                    cause_of(exc),
                )
                unknown = True
            except Exception as exc:
                self.disconnect()
                if not isinstance(exc, _TRANSIENT_ERRORS):
                    self._commit_one_by_one(steps, exc, unknown=unknown)
                    return
                lost = isinstance(exc, (db_exc.DBConnectionError, _Unreachable))
                if not unknown and not (lost and time.monotonic() - began < _GIVE_UP_APPENDS):
                    self._refuse(steps, exc)
                    return
            else:
                self._report([(step, None) for step in steps])
                return
            time.sleep(RETRY_INTERVAL)

    def disconnect(self) -> None:
        """Close the connection; the next commit opens another one."""
        if self._connection is not None:
            try:
                self._connection.invalidate()
                self._connection.close()
            except _ERRORS as exc:
                LOG.debug("Cannot close the journal's connection: %s", cause_of(exc))
            self._connection = None

    # --- failures

    def _commit_one_by_one(self, steps: list[Step], exc: BaseException, *, unknown: bool) -> None:
        """Find the step that is to blame, and commit the others."""
        if len(steps) > 1:
            for step in steps:
                self.commit([step], unknown=unknown)
            return
        step = steps[0]
        LOG.error("The database rejects a step of the journal: %s", cause_of(exc))
        if isinstance(step, RecordResponse) and step.row is not None:
            # A write without its response is better than a write that would be sent again.
            self.commit([dataclasses.replace(step, row=None)], unknown=unknown)
            return
        self._report([(step, NotAccepted(f"the database rejects it: {cause_of(exc)}"))])

    def _refuse(self, steps: list[Step], exc: BaseException) -> None:
        """Fail the appends; keep the rest for another try."""
        appends = [step for step in steps if isinstance(step, Append)]
        why = cause_of(exc)
        LOG.error("Cannot write to the journal (%d writes refused): %s", len(appends), why)
        error = NotAccepted(f"cannot write to the journal: {why}")
        self._report([(step, error) for step in appends])
        self.to_retry.extend(step for step in steps if not isinstance(step, Append))

    # --- one try

    def _try_commit(self, steps: Sequence[Step], *, look_first: bool) -> None:
        began = time.perf_counter()
        if self._connection is None:
            self._connection = self._connect()
        connection, performed = self._connection, began
        # The failpoint "appended" lies between the statements and COMMIT: it needs a COMMIT.
        if (
            look_first
            or self._failpoints.armed("appended")
            or not perform_in_one_statement(connection, steps)
        ):
            performed = self._transaction(connection, steps, look_first=look_first)
        else:
            self._hit_synced()
        self._counts.commits += 1
        self._counts.steps += len(steps)
        self._counts.transaction_time += time.perf_counter() - began
        self._counts.commit_time += time.perf_counter() - performed

    def _connect(self) -> sa.Connection:
        try:
            return self._engine.connect()
        except (db_exc.DBError, sa.exc.OperationalError) as exc:
            raise _Unreachable(exc) from exc

    def _transaction(
        self, connection: sa.Connection, steps: Sequence[Step], *, look_first: bool
    ) -> float:
        """Return when COMMIT began."""
        with database.begin(connection) as transaction:
            if look_first:
                present = already_appended(connection, steps)
                steps = [step for step in steps if step not in present]
            perform(connection, steps)
            self._failpoints.hit("appended")
            performed = time.perf_counter()
            try:
                transaction.commit()
            except db_exc.DBConnectionError as exc:
                self.disconnect()
                raise _OutcomeUnknown(exc) from exc
            self._hit_synced()
        return performed

    def _hit_synced(self) -> None:
        try:
            self._failpoints.hit("synced")
        except FailpointHit as exc:  # as if the connection broke during COMMIT
            self.disconnect()
            raise _OutcomeUnknown(exc) from exc
