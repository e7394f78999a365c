"""Group commit: the order of steps, shared commits, failures."""

from __future__ import annotations

import asyncio
import dataclasses
import tempfile
import unittest
from pathlib import Path
from unittest import mock

import sqlalchemy as sa

from nova_cachemig.agent.journal import database, migrate
from nova_cachemig.agent.journal.errors import NotAccepted
from nova_cachemig.agent.journal.failpoints import Failpoints
from nova_cachemig.agent.journal.record import to_row
from nova_cachemig.agent.journal.schema import KEYS, SERVICES, WRITES
from nova_cachemig.agent.journal.statements import Append, Execute, RaiseSendLimit
from nova_cachemig.agent.journal.writer import GroupCommit
from nova_cachemig.model.write import AcceptedWrite, Body


def append(position: int) -> Append:
    write = AcceptedWrite("shop", position, 1.0, "POST", "/", "h", (), Body.of(b"x"), "c")
    return Append(write, to_row(write))


class GroupCommitTest(unittest.IsolatedAsyncioTestCase):
    async def begin(self, *armed: str) -> GroupCommit:
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.engine = database.create_engine(database.url_for(None, Path(directory.name)))
        self.addCleanup(self.engine.dispose)
        migrate.upgrade(self.engine)
        writer = GroupCommit(self.engine, Failpoints(armed))
        writer.start()
        self.addAsyncCleanup(writer.stop)
        return writer

    def positions(self) -> list[int]:
        with self.engine.connect() as connection:
            rows = connection.execute(sa.select(WRITES.c.position).order_by(WRITES.c.position))
            return [row.position for row in rows]

    async def test_wal_and_full_sync(self) -> None:
        await self.begin()
        with self.engine.connect() as connection:
            mode = connection.exec_driver_sql("PRAGMA journal_mode").scalar()
            sync = connection.exec_driver_sql("PRAGMA synchronous").scalar()
        self.assertEqual(("wal", 2), (mode, sync))

    async def test_steps_of_one_turn_share_a_commit_and_end_in_order(self) -> None:
        writer = await self.begin()
        ended: list[int] = []
        last = asyncio.get_running_loop().create_future()
        for position in range(1, 101):
            step = append(position)

            def done(error, position=position):
                ended.append(position)
                if position == 100:
                    last.set_result(error)

            writer.submit(Append(step.write, step.row, done=done))
        self.assertIsNone(await last)
        self.assertEqual(list(range(1, 101)), ended)
        self.assertEqual(1, writer.counts.commits)
        self.assertEqual(list(range(1, 101)), self.positions())

    async def test_a_step_that_can_wait_shares_the_next_commit(self) -> None:
        writer = await self.begin()
        order: list[str] = []
        writer.submit(Execute(lambda _: order.append("can wait")), can_wait=True)
        await writer.submit_and_wait(Execute(lambda _: order.append("cannot wait")))
        self.assertEqual((["can wait", "cannot wait"], 1), (order, writer.counts.commits))

    async def test_a_step_that_can_wait_is_committed_soon(self) -> None:
        writer = await self.begin()
        done = asyncio.Event()
        writer.submit(Execute(lambda _: None, lambda _: done.set()), can_wait=True)
        async with asyncio.timeout(10):
            await done.wait()
        self.assertEqual(1, writer.counts.commits)

    async def test_a_failed_append_is_not_on_disk_and_the_next_one_is(self) -> None:
        writer = await self.begin("appended=fail")
        with self.assertRaises(NotAccepted):
            await writer.submit_and_wait(append(1))
        await writer.submit_and_wait(append(2))
        self.assertEqual([2], self.positions())

    async def test_other_steps_are_tried_again_when_appends_are_refused(self) -> None:
        writer = await self.begin("appended=fail")
        with self.engine.begin() as connection:
            connection.execute(sa.insert(SERVICES).values(service="shop", through=0, secret=b""))
        results = await asyncio.gather(
            writer.submit_and_wait(append(1)),
            writer.submit_and_wait(RaiseSendLimit("shop", 9)),
            return_exceptions=True,
        )
        self.assertIsInstance(results[0], NotAccepted)
        self.assertIsNone(results[1])
        with self.engine.connect() as connection:
            self.assertEqual(9, connection.execute(sa.select(SERVICES.c.through)).scalar())

    async def test_a_callback_that_raises_does_not_stop_the_others(self) -> None:
        writer = await self.begin()
        asyncio.get_running_loop().set_exception_handler(lambda _loop, context: None)

        called: list[int] = []
        last = asyncio.Event()

        def done(number: int) -> None:
            if number == 1:
                raise RuntimeError("planted")
            called.append(number)
            if number == 30:
                last.set()

        for n in range(1, 31):  # in one turn of the loop: they share a commit
            writer.submit(dataclasses.replace(append(n), done=lambda _error, n=n: done(n)))
        async with asyncio.timeout(5):
            await last.wait()
        self.assertEqual(list(range(2, 31)), called)
        self.assertEqual(list(range(1, 31)), self.positions())

    async def test_a_write_waits_for_a_database_that_restarts(self) -> None:
        writer = await self.begin()
        refused = sa.exc.OperationalError("", {}, OSError("Connection refused"))
        attempts = [refused, refused, self.engine.connect()]
        with mock.patch.object(self.engine, "connect", side_effect=attempts) as connect:
            await writer.submit_and_wait(append(1))
        self.assertEqual(3, connect.call_count)
        self.assertEqual([1], self.positions())

    async def test_no_write_on_disk_is_reported_as_not_accepted(self) -> None:
        writer = await self.begin("synced=fail")  # as a connection that breaks during COMMIT
        await writer.submit_and_wait(append(1))
        self.assertEqual([1], self.positions())

    async def test_stop_commits_what_was_submitted(self) -> None:
        writer = await self.begin()
        writer.submit(append(1), can_wait=True)
        await writer.stop()
        self.assertEqual([1], self.positions())

    async def test_appends_share_a_statement_and_a_bad_one_stops_no_other(self) -> None:
        writer = await self.begin()
        results = await asyncio.gather(
            *(writer.submit_and_wait(append(position)) for position in (1, 2, 2, 3)),
            return_exceptions=True,
        )
        self.assertEqual([True, True, False, True], [one is None for one in results])
        self.assertEqual([1, 2, 3], self.positions())

    async def test_what_comes_with_a_write_is_committed_with_it(self) -> None:
        writer = await self.begin()
        with self.engine.begin() as connection:
            connection.execute(sa.insert(SERVICES).values(service="shop", through=0, secret=b""))
        one, other = append(1), append(2)
        await asyncio.gather(
            writer.submit_and_wait(Append(one.write, one.row, send_limit=7)),
            writer.submit_and_wait(Append(other.write, other.row, key=("digest", "fingerprint"))),
        )
        with self.engine.connect() as connection:
            self.assertEqual(7, connection.execute(sa.select(SERVICES.c.through)).scalar())
            self.assertEqual(2, connection.execute(sa.select(KEYS.c.position)).scalar())
        self.assertEqual([1, 2], self.positions())

    async def test_a_step_that_can_never_succeed_stops_no_other(self) -> None:
        writer = await self.begin()

        def broken(_connection: sa.Connection) -> None:
            raise TypeError("a bug")

        results = await asyncio.gather(
            writer.submit_and_wait(append(1)),
            writer.submit_and_wait(Execute(broken)),
            writer.submit_and_wait(append(2)),
            writer.submit_and_wait(append(2)),  # its place is taken
            writer.submit_and_wait(append(3)),
            return_exceptions=True,
        )
        self.assertEqual([True, False, True, False, True], [one is None for one in results])
        self.assertEqual([1, 2, 3], self.positions())
