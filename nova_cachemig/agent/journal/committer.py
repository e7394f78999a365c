"""Commits batches of steps, and decides what a failed commit means for each step.

* An *append* whose transaction certainly did not happen fails with :class:`NotAccepted`.
* The outcome is unknown if COMMIT itself fails: the connection to a server breaks, or SQLite cannot
  sync its log. Then the committer looks, and commits what is missing. No client gets "not accepted"
  for a write that is on disk or may yet appear there.
* If that is not possible for 5 s, the append fails with :class:`AcceptanceUnknown`. Its write is
  *withdrawn*: removed for certain before any later step is committed.
* Everything else (responses, send limits, states) is tried again until it succeeds.
* A step that can never succeed (a value that the database rejects) must not stop the others. If the
  database's condition is not the reason of the failure, each step of the batch is committed alone.

SQLite's connection stays open after a failure. The next commit then overwrites the frames that were
not synced. A new connection might instead read them from the log, and build on frames that a power
failure takes away.
"""

from __future__ import annotations

import dataclasses
import logging
import time
from collections.abc import Callable, Sequence
from typing import Final

import sqlalchemy as sa
from oslo_db import exception as db_exc

from nova_cachemig.agent.journal import database, failures
from nova_cachemig.agent.journal.database import cause_of
from nova_cachemig.agent.journal.errors import AcceptanceUnknown, NotAccepted, OwnershipLost
from nova_cachemig.agent.journal.failpoints import FailpointHit, Failpoints
from nova_cachemig.agent.journal.failures import OutcomeUnknown, Unreachable
from nova_cachemig.agent.journal.owner import Owner
from nova_cachemig.agent.journal.statements import (
    Append,
    Execute,
    RecordResponse,
    SetState,
    Step,
    Withdraw,
    already_appended,
    perform,
    perform_in_one_statement,
)

LOG = logging.getLogger(__name__)

RETRY_INTERVAL: Final = 0.2  # seconds between tries while the database is unreachable or full
_GIVE_UP_APPENDS: Final = 5.0  # seconds for which appends wait for an unreachable database
_LOCK_WAIT: Final = 3  # seconds for which a look waits for the transaction of a lost connection
_NO_NOTE: Final = "the database rejects the note"

Result = tuple[Step, BaseException | None]
"""A step and why it failed; None: it is durable."""


@dataclasses.dataclass(slots=True)
class WriterCounts:
    """Counters since the start."""

    commits: int = 0
    steps: int = 0
    transaction_time: float = 0.0  # seconds
    commit_time: float = 0.0  # seconds in COMMIT alone: the database's write and fsync


class Committer:
    """One connection to the database. For the thread of the group commit."""

    def __init__(
        self,
        engine: sa.Engine,
        failpoints: Failpoints,
        counts: WriterCounts,
        report: Callable[[list[Result]], None],
        owner: Owner | None = None,
    ) -> None:
        """``report`` is called with the steps that are durable or have failed for good."""
        self._engine = engine
        self._failpoints = failpoints
        self._counts = counts
        self._report = report
        self._owner = owner
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
            except OwnershipLost as exc:
                self._abandon()
                self._give_up(steps, exc, unknown=unknown)
                self.to_retry.clear()  # they are the next owner's
                return
            except OutcomeUnknown as exc:
                LOG.warning("COMMIT failed; checking whether it succeeded: %s", cause_of(exc))
                self._abandon()
                failure: Exception = exc
                unknown = True
            except Exception as exc:
                self._abandon()
                failure = exc
                # A duplicate after an unknown outcome: the first COMMIT was still running.
                passing = failures.is_transient(exc) or (unknown and failures.is_duplicate(exc))
                if not passing:
                    self._commit_one_by_one(steps, exc, unknown=unknown)
                    return
                if not unknown and not failures.is_connection_lost(exc):
                    self._give_up(steps, exc, unknown=False)
                    return
            else:
                self._report([(step, None) for step in steps])
                return
            if time.monotonic() - began >= _GIVE_UP_APPENDS:
                self._give_up(steps, failure, unknown=unknown)
                return
            time.sleep(RETRY_INTERVAL)

    def disconnect(self) -> None:
        """Close the connection; the next commit opens another one."""
        if self._connection is not None:
            try:
                self._connection.invalidate()
                self._connection.close()
            except failures.ERRORS as exc:
                LOG.debug("Cannot close the journal's connection: %s", cause_of(exc))
            self._connection = None

    def _abandon(self) -> None:
        """End the failed transaction."""
        if self._connection is None:
            return
        if self._connection.dialect.name != "sqlite":
            self.disconnect()
            return
        try:
            database.roll_back(self._connection)
        except failures.ERRORS as exc:
            LOG.error("Cannot roll back; connecting again: %s", cause_of(exc))
            self.disconnect()

    # --- failures

    def _commit_one_by_one(self, steps: list[Step], exc: Exception, *, unknown: bool) -> None:
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
        elif isinstance(step, SetState) and step.note != _NO_NOTE:
            self.commit([dataclasses.replace(step, note=_NO_NOTE)], unknown=unknown)
        elif isinstance(step, Execute):
            self._report([(step, NotAccepted(f"the database rejects it: {cause_of(exc)}"))])
        else:
            self._give_up(steps, exc, unknown=unknown)

    def _give_up(self, steps: list[Step], exc: Exception, *, unknown: bool) -> None:
        """Fail the appends; keep the rest for another try."""
        why = cause_of(exc)
        appends = [step for step in steps if isinstance(step, Append)]
        self.to_retry.extend(step for step in steps if not isinstance(step, Append))
        if not unknown:
            LOG.error("Cannot write to the journal (%d writes refused): %s", len(appends), why)
            error = NotAccepted(f"cannot write to the journal: {why}")
            self._report([(step, error) for step in appends])
            return
        LOG.error(
            "Cannot find out whether %d writes are in the journal; they are withdrawn as soon as "
            "possible: %s", len(appends), why,
        )  # fmt: skip
        doubt = AcceptanceUnknown(f"COMMIT failed, and so does the look at its outcome: {why}")
        self._report([(step, doubt) for step in appends])
        self.to_retry.extend(Withdraw(step, step.withdrawn) for step in appends)

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
            or not self._in_one_statement(connection, steps)
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
            raise Unreachable(exc) from exc

    def _in_one_statement(self, connection: sa.Connection, steps: Sequence[Step]) -> bool:
        """Commit the steps with one statement, if possible."""
        try:
            return perform_in_one_statement(connection, steps)
        except Exception as exc:
            if failures.sqlite_did_nothing(exc):
                raise
            raise OutcomeUnknown(exc) from exc

    def _transaction(
        self, connection: sa.Connection, steps: Sequence[Step], *, look_first: bool
    ) -> float:
        """Return when COMMIT began."""
        with database.begin(connection) as transaction:
            if self._owner is not None:
                self._owner.check(connection)
            if look_first or any(isinstance(step, Withdraw) for step in steps):
                database.limit_lock_wait(connection, _LOCK_WAIT)
            if look_first:
                present = already_appended(connection, steps)
                steps = [step for step in steps if step not in present]
            perform(connection, steps)
            self._failpoints.hit("appended")
            performed = time.perf_counter()
            try:
                transaction.commit()
            except Exception as exc:
                if connection.dialect.name == "sqlite" and failures.sqlite_did_nothing(exc):
                    raise
                raise OutcomeUnknown(exc) from exc
            self._hit_synced()
        return performed

    def _hit_synced(self) -> None:
        try:
            self._failpoints.hit("synced")
        except FailpointHit as exc:  # as if the connection broke during COMMIT
            raise OutcomeUnknown(exc) from exc
