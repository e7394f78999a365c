"""Stored handovers are returned unchanged."""

from __future__ import annotations

import dataclasses
import tempfile
import unittest

import sqlalchemy as sa

from nova_cachemig.agent.journal.handovers import JournalHandoverStore
from nova_cachemig.agent.journal.schema import HANDOVERS
from nova_cachemig.agent.journal.store import Journal
from nova_cachemig.model.handover import Decision, HandoverId, HandoverRecord, OutcomeKind
from nova_cachemig.model.phase import Phase
from tests.functional.replay.path import conf_for


class HandoverStoreTest(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self) -> None:
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.directory = directory.name

    async def opened(self) -> JournalHandoverStore:
        self.journal = Journal(conf_for(self.directory))
        await self.journal.open()
        return JournalHandoverStore(self.journal)

    async def test_saved_changed_ended(self) -> None:
        store = await self.opened()
        first, second = (
            HandoverRecord(HandoverId("uuid", f"req-{n}"), ("shop",), "a", "b", Phase.WARMING,
                           started=float(n), decisions=(Decision(1.5, Phase.WARMING, "Began."),))
            for n in (1, 2)
        )  # fmt: skip
        await store.save(second)
        await store.save(first)
        self.assertEqual([first, second], await store.unfinished())
        ended = dataclasses.replace(first, phase=Phase.RELEASED, ended=9.0,
                                    outcome=OutcomeKind.COMPLETED, counts={"hits": 3})  # fmt: skip
        await store.save(ended)
        await self.journal.close()
        store = await self.opened()
        self.addAsyncCleanup(self.journal.close)
        self.assertEqual([second], await store.unfinished())
        self.assertEqual([second, ended], await store.newest(5))
        self.assertEqual([second], await store.newest(1))

    async def test_finished_handovers_are_deleted_after_a_while(self) -> None:
        await self.opened()
        self.addAsyncCleanup(self.journal.close)
        day = 86400.0
        rows = [
            {"instance": "uuid", "request": f"r{n}", "started": n * day, "unfinished": n == 0,
             "record": "{}"} for n in range(1200)
        ]  # fmt: skip
        await self.journal.run(lambda connection: connection.execute(sa.insert(HANDOVERS), rows))

        async def kept() -> list[int]:
            query = sa.select(HANDOVERS.c.started).order_by(HANDOVERS.c.started)
            found = await self.journal.read(lambda c: c.execute(query).scalars().all())
            return [round(started / day) for started in found]

        await self.journal.delete_expired(1.0)
        self.assertEqual([0, *range(200, 1200)], await kept())
        await self.journal.delete_expired(1200 * day)
        self.assertEqual([0, *range(1111, 1200)], await kept())

    async def test_a_record_that_takes_over_another_id_replaces_it(self) -> None:
        store = await self.opened()
        self.addAsyncCleanup(self.journal.close)
        former = HandoverId.unannounced("uuid", 12.5)
        record = HandoverRecord(former, ("shop",), "a", None, Phase.SHIELDED, started=12.5)
        await store.save(record)
        announced = dataclasses.replace(record, id=HandoverId("uuid", "req-1"))
        for _ in range(2):  # a group commit may perform it twice
            await store.save(announced, replaces=former)
        self.assertEqual([announced], await store.unfinished())
