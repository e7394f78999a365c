"""Writes around the guest's silence: those that passed before it, and those of the journal."""

from __future__ import annotations

import asyncio
import socket

from nova_cachemig.agent.engine import names, sockdiag
from nova_cachemig.model.event import EventKind
from tests.functional.armed.rig import ArmedCase
from tests.functional.engine import blackout
from tests.functional.engine.servers import Response, until


class SilenceTest(ArmedCase):
    def listening(self) -> socket.socket:
        self.namespace = blackout.Namespace()
        self.addCleanup(self.namespace.delete)
        self.namespace.create()
        return self.namespace.listen()

    def put(self, url: str, body: bytes) -> asyncio.Task[Response]:
        return asyncio.create_task(self.get(url, method="PUT", body=body))

    def lost(self, number: int) -> bool:
        found = sockdiag.connections(self.guest.address, self.guest.port)
        return sum(one.unacknowledged > 0 for one in found) == number

    async def stored(self, number: int) -> None:
        async with asyncio.timeout(5):
            while (await self.writes.counts("shop")).waiting != number:  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    async def ended(self, kind: EventKind) -> None:
        await until(lambda: kind in [event.kind for event in self.events])
        self.events.clear()

    async def test_a_later_write_to_the_page_does_not_overtake_a_lost_one(self) -> None:
        await self.namespace.drop_data()
        first = self.put("/page", b"first")
        await until(lambda: self.lost(1))
        await self.shield()
        second, other = self.put("/page", b"second"), self.put("/other", b"other")
        await self.stored(2)
        await asyncio.sleep(0.3)
        await self.namespace.resume()
        await self.back()
        self.assertEqual({200}, {(await one).status for one in (first, second, other)})
        seen = [request.body for request in self.guest.seen]
        self.assertEqual([b"first", b"second", b"other"], seen)
        await self.ended(EventKind.CAUGHT_UP)

    async def test_a_long_poll_delays_the_journal_shortly(self) -> None:
        self.guest.gates["/poll"] = asyncio.Event()
        poll = self.put("/poll", b"poll")
        await until(lambda: self.guest.seen)
        await self.shield()
        later = self.put("/poll", b"data")
        await self.stored(1)
        await self.back()
        await until(lambda: len(self.guest.seen) == 2, 2)
        self.guest.gates["/poll"].set()
        self.assertEqual([200, 200], [(await poll).status, (await later).status])

    async def test_reads_of_a_destination_wait_for_the_write(self) -> None:
        await self.namespace.pause()
        await self.shield()
        headers = {"Destination": "http://shop.example/to"}
        write = asyncio.create_task(self.get("/from", method="COPY", headers=headers))
        await self.stored(1)
        pending = [
            self.engine._barrier.holds("shop", names.pending_key("shop", f"url:/{page}"))
            for page in ("from", "to", "other")
        ]
        self.assertEqual([True, True, False], pending)
        await self.namespace.resume()
        await self.back()
        self.assertEqual(200, (await write).status)
        await self.ended(EventKind.CAUGHT_UP)
        self.assertFalse(self.engine._barrier.holds("shop"))

    async def test_what_is_under_way_goes_on_after_the_silence(self) -> None:
        """A response that streams, an upload, and a write in the guest's hands."""
        self.guest.gates["/stream"] = asyncio.Event()
        self.guest.delays["/slow"] = 0.2
        body = bytes(8 << 20)
        streams, slow = self.put("/stream", b"x"), self.put("/slow", b"x")
        await until(lambda: len(self.guest.seen) == 2)
        reader, writer = await asyncio.open_connection(*self.edge)
        self.addCleanup(writer.close)
        head = f"PUT /upload HTTP/1.1\r\nHost: shop.example\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body[: len(body) // 2])
        await writer.drain()
        await self.namespace.pause()
        self.guest.running.clear()
        await self.shield()
        writer.write(body[len(body) // 2 :])
        await asyncio.sleep(0.6)
        self.guest.gates["/stream"].set()
        await self.namespace.resume()
        self.guest.running.set()
        await self.back()
        self.assertEqual([200, 200], [(await streams).status, (await slow).status])
        async with asyncio.timeout(10):
            self.assertIn(b"200", await reader.readline())
        self.assertEqual(
            {"/stream": 1, "/slow": 1, "/upload": 1},
            {url: self.guest.count(url) for url in ("/stream", "/slow", "/upload")},
        )
        self.assertEqual(body, next(r.body for r in self.guest.seen if r.url == "/upload"))

    async def test_armed_again_no_write_overtakes_the_journal(self) -> None:
        await self.shield()
        first = self.put("/page", b"first")
        await self.stored(1)
        await self.back()
        await self.ended(EventKind.CAUGHT_UP)
        await first
        self.guest.delays["/page"] = 0.1
        stop = asyncio.Event()

        async def client(number: int) -> int:
            """One write after the other: a write is sent when the one before has its response."""
            for count in range(1000):
                if stop.is_set():
                    return count
                response = await self.get("/page", method="PUT", body=b"%d.%d" % (number, count))
                self.assertEqual(200, response.status)
            return 1000

        clients = [asyncio.create_task(client(number)) for number in range(4)]
        await asyncio.sleep(0.3)
        await self.rearm()
        await self.ended(EventKind.REARMED)
        await asyncio.sleep(0.3)
        stop.set()
        sent = [await one for one in clients]
        self.assertGreater(min(sent), 0)
        for number, count in enumerate(sent):
            mark = b"%d." % number
            seen = [one.body for one in self.guest.seen if one.body.startswith(mark)]
            self.assertEqual([b"%d.%d" % (number, one) for one in range(count)], seen)
