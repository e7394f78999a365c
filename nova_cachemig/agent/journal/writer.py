"""Group commit: one thread that commits all waiting steps in one transaction.

The event loop submits steps; the thread commits them in the order of submission; their callbacks
run in the event loop, again in that order. The loop is woken once per commit. While one commit is
being synced, the next batch gathers.

``committer.py`` decides what a failed commit means for a step.
"""

from __future__ import annotations

import asyncio
import collections
import dataclasses
import logging
import queue
import threading
import time
from typing import Final

import sqlalchemy as sa

from nova_cachemig.agent.journal.committer import RETRY_INTERVAL, Committer, Result, WriterCounts
from nova_cachemig.agent.journal.errors import JournalError
from nova_cachemig.agent.journal.failpoints import Failpoints
from nova_cachemig.agent.journal.owner import Owner
from nova_cachemig.agent.journal.statements import Step

LOG = logging.getLogger(__name__)

MAX_BATCH: Final = 512  # steps; a batch of this size takes no more, which bounds the wait for it
_GATHER_DELAY: Final = 0.02  # seconds for which a step that can wait gathers others
# Callbacks per turn of the event loop. More would delay the guest's next response.
_CALLBACKS_PER_TURN: Final = 8


class GroupCommit:
    """The queue of steps and the thread that commits them."""

    def __init__(
        self, engine: sa.Engine, failpoints: Failpoints, owner: Owner | None = None
    ) -> None:
        """Without ``owner``, the ownership of the database is not checked."""
        self.counts = WriterCounts()
        self._committer = Committer(engine, failpoints, self.counts, self._report, owner)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._queue: queue.SimpleQueue[list[Step] | None] = queue.SimpleQueue()
        self._gathered: list[Step] = []  # submitted, not yet in the queue
        self._flush_handle: asyncio.Handle | None = None  # moves them into the queue
        self._flush_now = False  # whether that handle is for this turn of the loop
        self._thread: threading.Thread | None = None
        self._results: collections.deque[Result] = collections.deque()  # callbacks still to run

    def start(self) -> None:
        """Start the thread. Callbacks run in the running event loop."""
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._run, name="journal-writer", daemon=True)
        self._thread.start()

    async def stop(self) -> None:
        """Commit what was submitted, then end the thread."""
        if self._thread is not None:
            self._flush()
            self._queue.put(None)
            await asyncio.to_thread(self._thread.join)
            self._thread = None

    def submit(self, step: Step, *, can_wait: bool = False) -> None:
        """Queue a step. ``step.done`` is called in the event loop once it is durable or failed.

        A step that ``can_wait`` may be delayed by 20 ms, so that one commit serves many. Steps are
        performed in the order of submission. Raises JournalError if the thread is not running.
        """
        if self._thread is None or self._loop is None:
            raise JournalError("the journal is not open")
        self._gathered.append(step)
        now = not can_wait or len(self._gathered) >= MAX_BATCH
        if self._flush_handle is not None and now and not self._flush_now:
            self._flush_handle.cancel()
            self._flush_handle = None
        if self._flush_handle is None:
            self._flush_now = now
            # At the end of this turn, so that requests of the same turn share the commit.
            self._flush_handle = (
                self._loop.call_soon(self._flush)
                if now
                else self._loop.call_later(_GATHER_DELAY, self._flush)
            )

    def _flush(self) -> None:
        if self._flush_handle is not None:
            self._flush_handle.cancel()
            self._flush_handle = None
        if self._gathered:
            self._queue.put(self._gathered)
            self._gathered = []

    async def submit_and_wait(self, step: Step) -> None:
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

    # --- in the thread

    def _run(self) -> None:
        committer, stopping = self._committer, False
        while not stopping or committer.to_retry:
            batch, stopping = self._next_batch(stopping)
            if steps := committer.take_retries() + batch:
                committer.commit(steps)
            if committer.to_retry:
                if stopping and not batch:
                    LOG.error("%d steps of the journal were not committed", len(committer.to_retry))
                    break
                time.sleep(RETRY_INTERVAL)
        committer.disconnect()

    def _next_batch(self, stopping: bool) -> tuple[list[Step], bool]:
        """Return the next steps, and whether the thread is to stop."""
        batch: list[Step] = []
        try:
            steps = self._queue.get(block=not self._committer.to_retry and not stopping)
            while True:
                if steps is None:
                    stopping = True
                else:
                    batch += steps
                if len(batch) >= MAX_BATCH:
                    break
                steps = self._queue.get_nowait()
        except queue.Empty:
            pass
        return batch, stopping

    def _report(self, results: list[Result]) -> None:
        if self._loop is None or not results:
            return
        try:
            self._loop.call_soon_threadsafe(self._queue_callbacks, results)
        except RuntimeError:  # the loop is closed: the process is ending
            LOG.debug("%d results of the journal arrived after the event loop ended", len(results))

    # --- in the event loop

    def _queue_callbacks(self, results: list[Result]) -> None:
        if not self._results:
            asyncio.get_running_loop().call_soon(self._run_callbacks)
        self._results.extend(results)

    def _run_callbacks(self) -> None:
        try:
            for _ in range(min(_CALLBACKS_PER_TURN, len(self._results))):
                step, error = self._results.popleft()
                if step.done is not None:
                    step.done(error)
        finally:  # a callback that raises must not stop the others
            if self._results:
                asyncio.get_running_loop().call_soon(self._run_callbacks)
