"""The connections of one guest, by number. The connections themselves are a test's."""

from __future__ import annotations

import asyncio
import unittest
from collections.abc import Iterator
from typing import Any, cast
from unittest import mock

from oslo_config import cfg

from nova_cachemig.agent.replay import connector, links, sockets
from nova_cachemig.agent.replay.connection import GuestConnection
from nova_cachemig.agent.replay.links import Links
from nova_cachemig.agent.replay.reports import End
from nova_cachemig.conf import journal as journal_conf
from nova_cachemig.model.service import SendProxy, Target
from nova_cachemig.model.write import AcceptedWrite, Body, GuestResponse

HERE = Target("192.0.2.1", 80)


def write(body: bytes = b"abc", spool: str | None = None, host: str = "h") -> AcceptedWrite:
    body_ = Body(data=body, spool=spool, length=len(body))
    return AcceptedWrite("shop", 1, 0.0, "PUT", "/", host, (), body_, "c")


class Connection:
    """Remembers what it is asked to do."""

    open, idle_timeout, in_response, has_lost_segments, served = True, None, False, False, True
    streaming, target = False, HERE

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.on_response: Any = None
        self.on_end: Any = None
        self.flush = mock.Mock()
        self.close = mock.Mock()
        self.cut_response = mock.Mock()
        self.retransmit = mock.Mock()
        self.body: list[bytes] = []
        self.uploaded = asyncio.Event()
        self.held: asyncio.Event | None = None  # the upload waits for it

    def watch(self, _on_part: Any, on_end: Any) -> None:
        self.on_end = on_end

    def queue(self, request: bytes, on_response: Any) -> None:
        self.sent.append(request)
        self.on_response = on_response

    async def upload(self, head: bytes, chunks: Any, on_response: Any) -> None:
        self.queue(head, on_response)
        if self.held is not None:
            await self.held.wait()
        async for chunk in chunks:
            self.body.append(chunk)
        self.uploaded.set()


class LinksTest(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self) -> None:
        self.enterContext(mock.patch.object(connector, "REFUSED_PAUSE", 0))
        self.enterContext(mock.patch.object(links, "_RETRANSMIT_INTERVAL", 0))
        conf = cfg.ConfigOpts()
        journal_conf.register(conf)
        conf([], default_config_files=[])
        self.journal, self.events = mock.Mock(), mock.Mock()
        self.links = Links(conf, self.journal, mock.Mock(), self.events)
        self.addCleanup(self.links.close_all)

    async def test_a_connection_that_names_its_client_is_used_once(self) -> None:
        connection = await self.connect()
        self.links._send_proxy = lambda: SendProxy.V1
        (name,) = self.links._open
        self.links.send(name, write())
        self.assertTrue(connection.sent[0].startswith(b"PROXY UNKNOWN\r\nPUT / HTTP/1.1\r\n"))
        connection.on_response(mock.Mock())
        (call,) = self.events.on_response.call_args_list
        self.assertIs(False, call.kwargs["keep_alive"])

    async def test_a_connection_is_not_used_after_a_request_without_a_host(self) -> None:
        """HTTP/1.0 ends it, even if the guest does not say so."""
        connection = await self.connect()
        for host in ("", "h"):
            self.links.send(1, write(host=host))
            connection.on_response(mock.Mock())
        calls = self.events.on_response.call_args_list
        self.assertEqual([False, True], [call.kwargs["keep_alive"] for call in calls])

    async def connect(self, connection: Connection | None = None) -> Connection:
        made = connection or Connection()
        arrived = asyncio.Event()
        self.events.on_connected.side_effect = lambda *_args: arrived.set()
        with mock.patch.object(sockets, "connect", return_value=made):
            self.links.connect(HERE)
            async with asyncio.timeout(5):
                await arrived.wait()
        return made

    async def turns(self, number: int = 20) -> None:
        for _ in range(number):
            await asyncio.sleep(0)

    async def test_writes_of_one_turn_are_flushed_together(self) -> None:
        made = await self.connect()
        self.events.on_connected.assert_called_once_with(1, HERE)
        self.links.send(1, write(b"abc"))
        self.links.send(1, write(b"def"))
        made.flush.assert_not_called()
        self.links.flush()
        made.flush.assert_called_once()
        self.assertEqual([b"abc", b"def"], [request[-3:] for request in made.sent])
        self.links.flush()
        made.flush.assert_called_once()

    async def test_a_response_is_reported_while_the_connection_is_known(self) -> None:
        made = await self.connect()
        self.links.send(1, write())
        made.on_response(GuestResponse(200))
        self.events.on_response.assert_called_once_with(
            1, GuestResponse(200), keep_alive=True, idle_timeout=None
        )
        self.links.close(1)
        made.close.assert_called_once()
        made.on_response(GuestResponse(200))
        made.on_end(End("closed"))
        self.events.on_response.assert_called_once()
        self.events.on_end.assert_not_called()
        self.links.send(1, write())  # the machine may not know it yet
        self.assertEqual(1, len(made.sent))

    async def test_the_end_is_reported_once(self) -> None:
        made = await self.connect()
        made.on_end(End("cut", 2))
        made.on_end(End("cut", 2))
        self.events.on_end.assert_called_once_with(1, End("cut", 2))

    async def test_the_pause_before_a_guest_that_closes_unused_connections(self) -> None:
        unused = Connection()
        unused.served = False
        (await self.connect(unused)).on_end(End("closed"))
        pauses: list[float] = []
        sleep = asyncio.sleep

        async def pause(seconds: float) -> None:
            pauses.append(seconds)
            await sleep(0)

        with (
            mock.patch.object(connector, "REFUSED_PAUSE", 7.0),
            mock.patch.object(links.asyncio, "sleep", pause),
        ):
            (await self.connect()).on_end(End("closed"))
            await self.connect()
        self.assertEqual([7.0], pauses)

    async def test_stop_connecting(self) -> None:
        attempts: list[asyncio.Future[GuestConnection]] = []

        def attempt(*_args: Any, **_options: Any) -> asyncio.Future[GuestConnection]:
            attempts.append(asyncio.get_running_loop().create_future())
            return attempts[-1]

        with mock.patch.object(sockets, "connect", attempt):
            self.links.connect(HERE)
            await self.turns()
            self.links.connect(HERE)  # instead of the first
            await self.turns()
            self.assertEqual([True, False], [one.cancelled() for one in attempts])
            self.links.stop_connecting()
            await self.turns()
        self.assertTrue(attempts[1].cancelled())
        self.events.on_connected.assert_not_called()

    # --- bodies in spool files

    def spool(self, chunks: Iterator[bytes]) -> AcceptedWrite:
        self.journal.spool.read.return_value = chunks
        return write(b"", "file")

    async def test_an_upload(self) -> None:
        made = await self.connect()
        self.links.send(1, self.spool(iter([b"ab", b"cd"])))
        async with asyncio.timeout(5):
            await made.uploaded.wait()
        self.assertEqual([b"ab", b"cd"], made.body)
        made.close.assert_not_called()

    async def test_an_upload_whose_file_cannot_be_read(self) -> None:
        def broken() -> Iterator[bytes]:
            yield b"ab"
            raise OSError(5, "broken")

        made = await self.connect()
        closed = asyncio.Event()
        made.close.side_effect = lambda *_why: closed.set()
        with self.assertLogs(links.LOG, "ERROR"):
            self.links.send(1, self.spool(broken()))
            async with asyncio.timeout(5):
                await closed.wait()
        self.assertIn("broken", made.close.call_args_list[0].args[0])

    async def test_an_upload_ends_with_its_connection(self) -> None:
        made = await self.connect()
        made.held = asyncio.Event()
        self.links.send(1, self.spool(iter([b"ab"])))
        await self.turns()
        made.on_end(End("cut", 1))
        made.held.set()
        await self.turns()
        self.assertEqual(([], False), (made.body, made.uploaded.is_set()))

    # --- the end, and lost segments

    async def test_a_response_that_takes_too_long(self) -> None:
        for begun in (False, True):
            made = await self.connect()
            made.in_response = begun
            name = self.events.on_connected.call_args.args[0]
            self.links.break_off(name, "too slow")
            await self.turns()
            self.assertEqual((not begun, begun), (made.close.called, made.cut_response.called))
        self.links.break_off(99, "unknown")

    async def test_close_all(self) -> None:
        connections = [await self.connect(), await self.connect()]
        self.links.retransmit()
        self.links.close_all()
        for made in connections:
            made.close.assert_called_once()
            made.has_lost_segments = True
        await self.turns()
        self.assertFalse(any(made.retransmit.called for made in connections))

    async def test_segments_are_sent_again_until_the_guest_has_them(self) -> None:
        made = await self.connect()
        made.has_lost_segments = True
        self.links.retransmit()
        await self.turns()
        self.assertGreater(made.retransmit.call_count, 1)
        made.has_lost_segments = False
        before = made.retransmit.call_count
        await self.turns()
        self.assertEqual(before, made.retransmit.call_count)

    async def test_nothing_is_sent_to_a_guest_that_is_silent_again(self) -> None:
        made = await self.connect()
        made.has_lost_segments = True
        self.links.retransmit()
        self.links.stop_retransmitting()
        await self.turns()
        made.retransmit.assert_not_called()
        cast(Any, made).close.assert_not_called()  # the guest may have what is in flight
