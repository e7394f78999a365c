"""Faults that the judge must notice. Each is a patch of the agent's process, selected by its name.

They sit where any design of the write path has to pass: the journal, the connections to the guest,
the ports of engine and write path, the request handler.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable
from typing import Any, Final
from unittest import mock

import sqlalchemy as sa

from nova_cachemig.agent.engine.driver import HaproxyVarnish
from nova_cachemig.agent.intake.handler import RequestHandler
from nova_cachemig.agent.intake.http import json_response
from nova_cachemig.agent.journal import database
from nova_cachemig.agent.journal.schema import WRITES
from nova_cachemig.agent.replay.connection import GuestConnection
from nova_cachemig.agent.writes import Writes
from tests.crashing.guest import GRACE

_LONG: Final = 3.0  # seconds; a busy machine takes as long to start the next agent


@dataclasses.dataclass(frozen=True)
class Plant:
    """A fault, and the run that can show it."""

    patch: Callable[[], contextlib.AbstractContextManager[Any]] = contextlib.nullcontext
    edge: bool = False
    honours_keys: bool = False
    power: bool = False  # it shows in power cuts only
    grace: float = GRACE  # of the guest
    options: dict[str, Any] = dataclasses.field(default_factory=dict)  # of [journal]


def _instead(where: Any, name: str, make: Callable[[Any], Any], **facts: Any) -> Plant:
    """Return the fault that replaces ``where.name`` by ``make(the original)``."""
    return Plant(lambda: mock.patch.object(where, name, make(getattr(where, name))), **facts)


def _unsynced(original: Any) -> Any:
    def durable(dbapi: Any, record: Any) -> None:
        original(dbapi, record)
        dbapi.execute("PRAGMA synchronous=OFF")

    return durable


def _swapped(original: Any) -> Any:
    def flush(self: Any) -> None:
        if len(self._outgoing) > 1:
            for queue in (self._outgoing, self._waiting):
                queue[-1], queue[-2] = queue[-2], queue[-1]
        original(self)

    return flush


def _crossed(original: Any) -> Any:
    earlier: list[Any] = []

    async def wait_for_response(self: RequestHandler, held: Any) -> Any:
        earlier.append(await original(self, held))
        return earlier.pop(0) if len(earlier) > 1 else earlier[0]

    return wait_for_response


def _not_listed(original: Any) -> Any:
    async def open_journal(self: Writes) -> None:
        await original(self)
        with self.journal.engine.begin() as connection:
            connection.execute(sa.delete(WRITES).where(WRITES.c.state == "in_doubt"))

    return open_journal


def _not_held(original: Any) -> Any:
    async def update_barrier(self: HaproxyVarnish, service: str, stale: Any, _held: Any) -> None:
        await original(self, service, stale, {})

    return update_barrier


def _not_stale(original: Any) -> Any:
    async def update_barrier(self: HaproxyVarnish, service: str, _stale: Any, held: Any) -> None:
        await original(self, service, {}, held)

    return update_barrier


@contextlib.contextmanager
def _lost_at_release() -> Any:
    """While the queue is sealed for the release, writes get a 202 and are dropped."""
    sealing = False
    seal, handle, close = Writes.seal, RequestHandler.handle, Writes.close

    async def at_seal(self: Writes, service: str, patience: float) -> None:
        nonlocal sealing
        sealing = True
        await seal(self, service, patience)

    async def at_close(self: Writes, service: str) -> None:
        nonlocal sealing
        sealing = False
        await close(self, service)

    async def at_handle(self: RequestHandler, head: Any, body: Any, *more: Any) -> Any:
        if sealing and head.method != "GET":
            return json_response(202, {"state": "accepted"})
        return await handle(self, head, body, *more)

    with (
        mock.patch.object(Writes, "seal", at_seal),
        mock.patch.object(Writes, "close", at_close),
        mock.patch.object(RequestHandler, "handle", at_handle),
    ):
        yield


@contextlib.contextmanager
def _released_early() -> Any:
    async def at_once(self: Writes, service: str, _patience: float = 0.0) -> None:
        pass

    with (
        mock.patch.object(Writes, "caught_up", at_once),
        mock.patch.object(Writes, "seal", at_once),
        mock.patch.object(Writes, "close", at_once),
    ):
        yield


def _not_processed(original: Any) -> Any:
    def fail_requests(self: Any, why: str, **facts: Any) -> None:
        original(self, why, **(facts | {"processed": False}))

    return fail_requests


PLANTED: dict[str, Plant] = {
    "unsynced": _instead(database, "_durable_sqlite", _unsynced, power=True),
    "adjacent writes swapped": _instead(GuestConnection, "flush", _swapped),
    "responses crossed": _instead(RequestHandler, "wait_for_response", _crossed, honours_keys=True),
    "quarantined, not listed": _instead(Writes, "open_journal", _not_listed),
    "no resume delay": Plant(options={"resume_delay": 0.0}, grace=_LONG),
    "old read after a write": _instead(HaproxyVarnish, "update_barrier", _not_held, edge=True),
    "old page after a write": _instead(HaproxyVarnish, "update_barrier", _not_stale, edge=True),
    "write lost at the release": Plant(_lost_at_release, edge=True),
    "overtaken at the release": Plant(_released_early, edge=True),
    "sent again after the guest has closed": _instead(
        GuestConnection, "_fail_requests", _not_processed
    ),
}
"""By name. A kill loses nothing of the page cache, so "unsynced" needs power cuts."""
