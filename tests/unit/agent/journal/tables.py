"""The journal's tables in memory."""

from __future__ import annotations

import unittest

import sqlalchemy as sa

from nova_cachemig.agent.journal import queries
from nova_cachemig.agent.journal.queries import POSITION
from nova_cachemig.agent.journal.record import to_row
from nova_cachemig.agent.journal.schema import METADATA
from nova_cachemig.agent.journal.statements import Append, SetState, Step, perform
from nova_cachemig.model.write import AcceptedWrite, Body, WriteState


def write(position: int, service: str = "shop", body: bytes = b"x") -> AcceptedWrite:
    return AcceptedWrite(
        service, position, 1.0, "POST", f"/{position}", "h", (), Body.of(body), f"c{position}"
    )


class QueriesCase(unittest.TestCase):
    def setUp(self) -> None:
        self.engine = sa.create_engine("sqlite://", poolclass=sa.pool.StaticPool)
        self.addCleanup(self.engine.dispose)
        METADATA.create_all(self.engine)
        self.connection = self.engine.connect()
        self.addCleanup(self.connection.close)

    def perform(self, *steps: Step) -> None:
        perform(self.connection, steps)

    def append(self, *writes: AcceptedWrite, key: tuple[str, str] | None = None) -> None:
        self.perform(*(Append(one, to_row(one), key=key) for one in writes))

    def set_state(self, position: int, state: WriteState, at_us: int = 5) -> None:
        self.perform(SetState("shop", position, state, at_us, "why"))

    def waiting(self, after: int = 0, limit: int = 100) -> list[int]:
        rows = queries.waiting(self.connection, "shop", after, limit)
        return [row[POSITION] for row in rows]
