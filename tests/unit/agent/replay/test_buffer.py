"""The buffer: the writes that it takes from the backlog, their order and their encoding."""

from __future__ import annotations

import unittest
from collections.abc import Sequence
from unittest import mock

from hypothesis import given
from hypothesis import strategies as st

from nova_cachemig.agent.journal.queries import UnreadableWrite
from nova_cachemig.agent.replay.buffer import SendBuffer
from nova_cachemig.model.write import AcceptedWrite, Body


def write(position: int, spool: str | None = None) -> AcceptedWrite:
    body = Body.of(b"x") if spool is None else Body(spool=spool, length=9)
    return AcceptedWrite("shop", position, 1.0, "PUT", f"/{position}", "h", (), body, "c")


class ListBacklog:
    """Writes in memory, then writes on disk."""

    def __init__(self, memory: Sequence[AcceptedWrite | UnreadableWrite],
                 disk: Sequence[AcceptedWrite] = ()) -> None:  # fmt: skip
        self.memory, self.disk = list(memory), list(disk)

    def has_more(self) -> bool:
        return bool(self.memory or self.disk)

    @property
    def next_in_memory(self) -> bool:
        return bool(self.memory)

    async def take(self) -> AcceptedWrite | UnreadableWrite:
        return self.memory.pop(0) if self.memory else self.disk.pop(0)


class SendBufferTest(unittest.IsolatedAsyncioTestCase):
    def make(self, backlog: ListBacklog, *, is_total: bool = True) -> SendBuffer:
        self.quarantined: list[int] = []
        self.looked_at: list[str | None] = []

        async def put_damaged(one: AcceptedWrite | UnreadableWrite, _why: str) -> None:
            self.quarantined.append(one.position)

        def intact(body: Body) -> bool:
            self.looked_at.append(body.spool)
            return body.spool != "damaged"

        queue = mock.Mock(backlog=backlog)
        queue.ordering.is_total = is_total
        return SendBuffer(queue, mock.Mock(put_damaged=put_damaged), mock.Mock(intact=intact))

    def positions(self, buffer: SendBuffer) -> list[int]:
        return [one.position for one in buffer.writes]

    @given(st.permutations(range(1, 8)))
    def test_order_is_that_of_the_positions(self, positions: list[int]) -> None:
        buffer = self.make(ListBacklog([]))
        for position in positions:
            buffer.add(write(position))
        self.assertEqual(list(range(1, 8)), self.positions(buffer))

    async def test_the_total_order_takes_sixteen_and_does_not_wait_for_the_disk(self) -> None:
        buffer = self.make(ListBacklog([write(n) for n in range(1, 30)]))
        await buffer.fill()
        self.assertEqual(list(range(1, 17)), self.positions(buffer))
        buffer = self.make(ListBacklog([write(1)], [write(2)]))
        await buffer.fill()
        self.assertEqual([1], self.positions(buffer))
        buffer.remove(write(1))
        await buffer.fill()
        self.assertEqual([2], self.positions(buffer))

    async def test_in_parallel_it_looks_further_ahead(self) -> None:
        backlog = ListBacklog([write(n) for n in range(1, 5)], [write(n) for n in range(5, 99)])
        buffer = self.make(backlog, is_total=False)
        await buffer.fill()
        self.assertEqual(list(range(1, 65)), self.positions(buffer))

    async def test_damaged_writes_are_quarantined_and_the_rest_goes_on(self) -> None:
        for is_total in (True, False):
            with self.subTest(is_total=is_total):
                backlog = ListBacklog([
                    UnreadableWrite("shop", 1, "checksum"), write(2, "damaged"), write(3, "sound"),
                ])  # fmt: skip
                buffer = self.make(backlog, is_total=is_total)
                await buffer.fill()
                self.assertEqual([3], self.positions(buffer))
                self.assertEqual([1, 2], self.quarantined)

    async def test_in_the_total_order_only_the_first_spool_file_is_checked_and_once(self) -> None:
        buffer = self.make(ListBacklog([write(1, "one"), write(2, "two")]))
        await buffer.fill()
        await buffer.fill()
        self.assertEqual(["one"], self.looked_at)
        buffer.remove(buffer.writes[0])
        await buffer.fill()
        self.assertEqual(["one", "two"], self.looked_at)

    async def test_the_first_request_is_encoded_in_advance(self) -> None:
        buffer = self.make(ListBacklog([write(1), write(2)]))
        await buffer.fill()
        first = buffer.first
        assert first is not None
        encoded = buffer.request_bytes(first)
        self.assertIs(encoded, buffer.request_bytes(first))
        self.assertTrue(encoded.startswith(b"PUT /1 HTTP/1.1\r\n") and encoded.endswith(b"x"))
        self.assertTrue(buffer.request_bytes(buffer.writes[1]).startswith(b"PUT /2 "))
