"""Keeps the bodies of one connection's responses in spool files, or hands them to their clients."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
from collections.abc import Callable, Coroutine
from typing import Any, Final

from nova_cachemig.agent.journal.upload import MemoryBudget, Upload
from nova_cachemig.agent.replay.live import LiveBody, Tail
from nova_cachemig.agent.replay.reports import Complete, Reports
from nova_cachemig.agent.replay.wire import Wire
from nova_cachemig.model.write import NO_BODY, GuestResponse

LOG = logging.getLogger(__name__)

_BODY_LOST: Final = ("cachemig-write", "responded; its body could not be kept")


class Keeper:
    """Works in tasks. The guest waits while a part of a body is being written."""

    def __init__(self, name: str, wire: Wire, reports: Reports, memory: MemoryBudget) -> None:
        """``name``: of the tasks. ``memory`` counts what is not in files."""
        self._name = name
        self._wire = wire
        self._reports = reports
        self._memory = memory
        self._loop = asyncio.get_running_loop()
        self._flushing: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def flush(self, upload: Upload | None, on_error: Callable[[Upload], None]) -> None:
        """Begin to write a part of a large body. ``on_error``: it cannot be written."""
        self._wire.read_on(False)
        self._flushing = self._spawn(self._flush(upload, on_error))

    async def _flush(self, upload: Upload | None, on_error: Callable[[Upload], None]) -> None:
        try:
            if upload is not None:
                await upload.flush()
        except OSError as exc:
            LOG.error("Cannot keep the body of a response: %s", exc)
            assert upload is not None
            on_error(upload)
            self._reports.run()
        finally:
            self._wire.read_on(True)

    def seal(self, complete: Complete, upload: Upload) -> None:
        """Begin to complete a response whose body is in a spool file."""
        self._spawn(self._seal(complete, upload))

    async def _seal(self, complete: Complete, upload: Upload) -> None:
        await self._flushed()
        headers = complete.response.headers
        try:
            await upload.flush()
            body, tail = await upload.seal(), None
        except OSError as exc:
            LOG.error("Cannot keep the body of a response: %s", exc)
            body, headers = NO_BODY, (*headers, _BODY_LOST)
            tail = await self._rest_of(upload)
        complete.response = GuestResponse(complete.response.status, headers, body, tail)
        complete.sealed = True
        self._reports.run()

    async def _rest_of(self, upload: Upload) -> Tail | None:
        """Return a body that has arrived and cannot be kept, for its client only."""
        live = LiveBody(self._wire.read_on, lambda: None, self._memory)
        live.end(whole=True)
        length = upload.length
        try:
            live.before = await upload.take()
        except OSError as exc:
            LOG.error("The body of a response is lost: %s", exc)
            return None
        return Tail(live, length)

    def live_body(self) -> LiveBody:
        """Return what takes a body that is not kept."""
        return LiveBody(self._wire.read_on, self._wire.abort, self._memory)

    def take_part(self, complete: Complete, upload: Upload, live: LiveBody) -> None:
        """Begin to get the part of a body that is in a spool file, which is deleted."""
        self._wire.read_on(False)
        self._spawn(self._take_part(complete, upload, live))

    async def _take_part(self, complete: Complete, upload: Upload, live: LiveBody) -> None:
        await self._flushed()
        try:
            live.before = await upload.take()
        except OSError as exc:
            LOG.error("The body of a response is lost: %s", exc)
            complete.response = dataclasses.replace(complete.response, tail=None)
            live.abandon()
        complete.sealed = True
        self._reports.run()

    def cancel(self, upload: Upload) -> None:
        """Begin to delete what was kept of an incomplete response."""
        self._spawn(self._cancel(upload))

    async def _cancel(self, upload: Upload) -> None:
        await self._flushed()
        await upload.cancel()

    async def _flushed(self) -> None:
        if self._flushing is not None:
            await asyncio.wait({self._flushing})

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = self._loop.create_task(work, name=self._name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
