"""The operator's review of quarantined writes: pages, chunks and decisions, as primitives.

The agent serves it over RPC (:class:`nova_cachemig.rpc.journal.JournalEndpoint`), and the command
line uses it with ``--offline``. Every method blocks and raises JournalError. It works beside a
running agent: see :mod:`.quarantine`.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from nova_cachemig.agent.journal import quarantine
from nova_cachemig.agent.journal.spool import CHUNK, Spool
from nova_cachemig.model.write import WriteState
from nova_cachemig.rpc.journal import PAGE, PAGE_BYTES

Wire = dict[str, Any]


class Review:
    """``spool`` holds the keys that are available; other writes are reported as unreadable."""

    def __init__(self, engine: sa.Engine, spool: Spool) -> None:
        self._engine = engine
        self._spool = spool

    def writes(
        self,
        states: Sequence[WriteState],
        service: str | None,
        after: str | None,
        *,
        content: bool,
    ) -> Wire:
        """One page of writes, by service and position: ``{"writes": [...], "next": ...}``."""
        found: list[Wire] = []
        size = 0
        for stored in quarantine.find_all(
            self._engine, tuple(states), service, self._spool.cipher, after=after
        ):
            if len(found) >= PAGE or size >= PAGE_BYTES:
                return {"writes": found, "next": found[-1]["write"]}
            found.append(quarantine.facts(stored, body=content))
            size += len(found[-1].get("body", ""))
        return {"writes": found, "next": None}

    def write(self, name: str) -> Wire:
        """One write with its headers, and its body if that is short enough."""
        return quarantine.facts(quarantine.show(self._engine, name, self._spool.cipher))

    def body(self, name: str, chunk: int) -> Wire:
        """One chunk of a body: ``{"data": base64, "last": bool}``."""
        stored = quarantine.show(self._engine, name, self._spool.cipher)
        length = 0 if stored.write is None else stored.write.body.length
        data = quarantine.chunk(stored, self._spool, chunk)
        last = (chunk + 1) * CHUNK >= length
        return {"data": base64.b64encode(data).decode(), "last": last}

    def resend(self, name: str, reason: str, asked_by: str) -> None:
        """Let the agent send a write in doubt again."""
        quarantine.resend(self._engine, name, reason, asked_by)

    def discard(self, name: str, reason: str, asked_by: str) -> None:
        """Never send a quarantined write."""
        quarantine.discard(self._engine, name, reason, asked_by)
