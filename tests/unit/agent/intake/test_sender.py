"""Responses to the edge: their bodies in memory, in files, and from the guest."""

from __future__ import annotations

import unittest
from collections.abc import Iterator
from unittest import mock

from nova_cachemig.agent.intake import sender
from nova_cachemig.agent.intake.http import Response
from nova_cachemig.agent.intake.sender import ResponseSender
from nova_cachemig.model.write import Body

FILE = Body(spool="name", length=4)


class ResponseSenderTest(unittest.IsolatedAsyncioTestCase):
    def setUp(self) -> None:
        self.chunks: list[bytes] = [b"ab", b"cd"]
        self.released = 0
        self.sender = ResponseSender(self.read, self.release)
        self.transport = mock.Mock()
        self.sender.transport = self.transport

    def read(self, _body: Body) -> Iterator[bytes]:
        return iter(self.chunks)

    def release(self, _chunks: Iterator[bytes]) -> None:
        self.released += 1

    def body(self) -> bytes:
        data = b"".join(call.args[0] for call in self.transport.write.call_args_list)
        return bytes(data.partition(b"\r\n\r\n")[2])

    async def send(self, response: Response, method: str = "POST") -> bool:
        return await self.sender.send(response, method, True)

    async def test_a_body_in_memory(self) -> None:
        self.assertTrue(await self.send(Response(200, body=Body.of(b"abcd"))))
        self.assertEqual(b"abcd", self.body())

    async def test_a_body_in_a_file(self) -> None:
        self.assertTrue(await self.send(Response(200, body=FILE)))
        self.assertEqual((b"abcd", 1), (self.body(), self.released))
        self.assertFalse(self.transport.abort.called)

    async def test_a_file_that_ends_early_ends_the_connection(self) -> None:
        self.chunks.pop()
        await self.send(Response(200, body=FILE))
        self.assertEqual((True, 1), (self.transport.abort.called, self.released))

    async def test_head_has_no_body(self) -> None:
        self.assertTrue(await self.send(Response(200, body=FILE), "HEAD"))
        self.assertEqual((b"", 0), (self.body(), self.released))

    async def test_a_tail_with_a_length(self) -> None:
        tail = mock.Mock(length=4, read=mock.AsyncMock(side_effect=self.chunks))
        self.assertTrue(await self.send(Response(200, tail=tail)))
        self.assertEqual(b"abcd", self.body())
        tail.close.assert_called_once_with()

    async def test_a_tail_without_a_length_is_chunked(self) -> None:
        tail = mock.Mock(length=None, read=mock.AsyncMock(side_effect=[b"abcd", b""]))
        self.assertTrue(await self.send(Response(200, tail=tail)))
        self.assertEqual(b"4\r\nabcd\r\n0\r\n\r\n", self.body())

    async def test_a_tail_that_breaks_off_ends_the_connection(self) -> None:
        tail = mock.Mock(length=4, read=mock.AsyncMock(side_effect=[b"ab", EOFError("cut")]))
        with self.assertLogs(sender.LOG, "INFO"):
            self.assertFalse(await self.send(Response(200, tail=tail)))
        self.assertEqual(b"ab", self.body())

    async def test_a_client_that_leaves_during_a_tail(self) -> None:
        tail = mock.Mock(length=4)

        async def read() -> bytes:
            self.sender.stop()
            return b"ab"

        tail.read = read
        self.assertFalse(await self.send(Response(200, tail=tail)))
        self.assertEqual((b"", 2), (self.body(), tail.close.call_count))

    async def test_nothing_is_sent_after_the_end(self) -> None:
        self.sender.stop()
        await self.send(Response(200, body=Body.of(b"abcd")))
        self.assertFalse(self.transport.write.called)
