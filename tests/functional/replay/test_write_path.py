"""The whole write path: a real socket, a real journal on disk, a real guest on loopback."""

from __future__ import annotations

import asyncio
import tempfile
import time
import unittest
from collections.abc import Collection, Mapping, Sequence
from unittest import mock

from nova_cachemig.agent.journal.recovery import Recovered
from nova_cachemig.agent.ports import ComponentError
from nova_cachemig.agent.writes import Writes
from nova_cachemig.model.effects import EndedWrite
from nova_cachemig.model.service import Target, WriteMode
from nova_cachemig.model.write import GuestResponse
from tests.functional.replay.guest import LoggingGuest
from tests.functional.replay.path import client, conf_for, reached, service


class WritePathTest(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self) -> None:
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.directory = directory.name
        self.guest = LoggingGuest()
        await self.guest.start()
        self.addAsyncCleanup(self.guest.stop)
        self.target = Target("127.0.0.1", self.guest.port)

    async def begin(self, edge=None, **journal) -> Writes:
        writes = Writes(conf_for(self.directory, **journal), edge)
        await writes.start()
        self.addAsyncCleanup(self.end, writes)
        return writes

    async def end(self, writes: Writes) -> None:
        if writes is not None:
            await writes.stop()

    async def test_write_through(self) -> None:
        writes = await self.begin()
        await writes.open(service())
        await writes.send_to("shop", self.target)
        async with client(writes.intake_socket) as http:
            response = await http.post("/cart?x=1", content=b"apple", headers={"X-Own": "kept"})
        self.assertEqual(
            (200, "applied 1\n", "yes"),
            (response.status_code, response.text, response.headers["x-guest"]),
        )
        (taken,) = self.guest.log
        self.assertEqual(("POST", "/cart?x=1", b"apple"), (taken.method, taken.url, taken.body))
        self.assertEqual("shop.example", taken.headers["host"])
        self.assertEqual("kept", taken.headers["x-own"])
        self.assertNotIn("x-cachemig-service", taken.headers)
        await writes.drained("shop")
        counts = await writes.counts("shop")
        self.assertEqual(
            (1, 0, 0, 1), (counts.accepted, counts.waiting, counts.in_flight, counts.responded)
        )

    async def test_held_writes_are_sent_in_order_at_the_guests_return(self) -> None:
        writes = await self.begin()
        await writes.open(service())
        async with client(writes.intake_socket) as http:
            tasks = []
            for number in range(50):
                tasks.append(asyncio.create_task(http.put(f"/n/{number}", content=b"%d" % number)))
                await reached(writes, "waiting", number + 1)
            self.assertEqual([], self.guest.log)
            with self.assertRaises(ComponentError):
                await writes.close("shop")
            await writes.send_to("shop", self.target)
            responses = await asyncio.gather(*tasks)
        self.assertEqual([b"%d" % number for number in range(50)], self.guest.bodies())
        self.assertEqual([f"applied {n + 1}\n" for n in range(50)], [a.text for a in responses])
        await writes.drained("shop")
        await writes.close("shop")

    async def test_hold_keeps_the_write_in_flight_and_sends_no_other(self) -> None:
        writes = await self.begin()
        await writes.open(service())
        await writes.send_to("shop", self.target)
        self.guest.gate.clear()
        async with client(writes.intake_socket) as http:
            first = asyncio.create_task(http.post("/a", content=b"1"))
            await self.guest.arrived.wait()
            await writes.hold("shop")
            second = asyncio.create_task(http.post("/b", content=b"2"))
            await reached(writes, "waiting", 1)
            self.guest.gate.set()
            self.assertEqual(200, (await first).status_code)
            self.assertEqual([b"1"], self.guest.bodies())
            await writes.send_to("shop", self.target)
            self.assertEqual(200, (await second).status_code)
        self.assertEqual([b"1", b"2"], self.guest.bodies())

    async def test_retarget_keeps_the_order(self) -> None:
        other = LoggingGuest()
        await other.start()
        self.addAsyncCleanup(other.stop)
        writes = await self.begin()
        await writes.open(service(writes=WriteMode.ACCEPT))
        async with client(writes.intake_socket) as http:
            for number in range(20):
                await http.post("/", content=b"%d" % number)
            await writes.send_to("shop", self.target)
            await self.guest.took(5)
            await writes.hold("shop")
            await writes.send_to("shop", Target("127.0.0.1", other.port))
            await writes.drained("shop")
        everything = self.guest.bodies() + other.bodies()
        self.assertEqual([b"%d" % number for number in range(20)], everything)
        self.assertGreater(len(other.log), 0)

    async def test_connection_lost_after_send(self) -> None:
        writes = await self.begin()
        await writes.open(service())
        await writes.send_to("shop", self.target)
        async with client(writes.intake_socket) as http:
            self.guest.drop_after_apply = 1
            self.assertEqual(200, (await http.put("/a", content=b"put")).status_code)
            self.assertEqual([b"put", b"put"], self.guest.bodies())
            self.guest.drop_after_apply = 1
            doubtful = await http.post("/b", content=b"post")
            self.assertEqual(502, doubtful.status_code)
            status = await http.get(doubtful.headers["location"])
            self.assertEqual("in_doubt", status.json()["state"])
            self.assertEqual(200, (await http.post("/c", content=b"later")).status_code)
        self.assertEqual([b"put", b"put", b"post", b"later"], self.guest.bodies())
        self.assertEqual(1, (await writes.counts("shop")).in_doubt)

    async def test_after_a_crash_nothing_overtakes_a_write_that_the_guest_processes(self) -> None:
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        for crashed in (False, True):
            writes = Writes(conf_for(directory.name, resume_delay=0.5))
            if crashed:
                with mock.patch.object(Recovered, "may_be_in_flight", return_value=True):
                    await writes.start()
                    await writes.open(service())
            else:
                await writes.start()
                await writes.open(service())
            began = time.monotonic()
            await writes.send_to("shop", self.target)
            async with client(writes.intake_socket) as http:
                response = await http.put("/a", content=b"x")
            self.assertEqual(200, response.status_code)
            self.assertEqual(crashed, time.monotonic() - began >= 0.5)
            await writes.stop()

    async def test_accepted_writes_survive_a_restart(self) -> None:
        writes = await self.begin()
        await writes.open(service(writes=WriteMode.ACCEPT))
        async with client(writes.intake_socket) as http:
            accepted = [await http.post("/", content=b"%d" % n) for n in range(300)]
        self.assertEqual({202}, {response.status_code for response in accepted})
        await writes.stop()
        writes = await self.begin()
        self.assertEqual({"shop": 300}, await writes.unfinished())
        await writes.open(service())
        await writes.send_to("shop", self.target)
        await writes.drained("shop")
        self.assertEqual([b"%d" % n for n in range(300)], self.guest.bodies())
        async with client(writes.intake_socket) as http:
            stored = await http.get(accepted[7].headers["location"])
            self.assertEqual(
                ("applied 8\n", "responded"), (stored.text, stored.headers["cachemig-write"])
            )
        self.assertEqual({}, await writes.unfinished())

    async def test_a_client_that_disconnects_after_acceptance_loses_nothing(self) -> None:
        writes = await self.begin()
        await writes.open(service())
        async with client(writes.intake_socket) as http:
            task = asyncio.create_task(http.post("/", content=b"kept"))
            await reached(writes, "accepted", 1)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        await writes.send_to("shop", self.target)
        await writes.drained("shop")
        self.assertEqual([b"kept"], self.guest.bodies())

    async def test_hold_timeout_gives_a_status_url(self) -> None:
        writes = await self.begin(hold_timeout=0.05)
        await writes.open(service())
        async with client(writes.intake_socket) as http:
            response = await http.post("/", content=b"late")
            self.assertEqual(202, response.status_code)
            where = response.headers["location"]
            self.assertEqual(202, (await http.get(where)).status_code)
            await writes.send_to("shop", self.target)
            await writes.drained("shop")
            self.assertEqual("applied 1\n", (await http.get(where)).text)
            self.assertEqual(404, (await http.get(where[:-2] + "zz")).status_code)

    async def test_stop_gives_waiting_clients_a_status_url(self) -> None:
        writes = await self.begin()
        await writes.open(service())
        async with client(writes.intake_socket) as http:
            task = asyncio.create_task(http.post("/", content=b"x"))
            await reached(writes, "waiting", 1)
            await writes.stop()
            self.assertEqual(202, (await task).status_code)

    async def test_guest_that_comes_up_late(self) -> None:
        port = self.guest.port
        await self.guest.stop()
        writes = await self.begin()
        await writes.open(service())
        await writes.send_to("shop", Target("127.0.0.1", port))
        async with client(writes.intake_socket) as http:
            task = asyncio.create_task(http.post("/", content=b"x"))
            await reached(writes, "waiting", 1)
            late = LoggingGuest()
            await late.start(port)
            self.addAsyncCleanup(late.stop)
            self.assertEqual(200, (await task).status_code)


class Edge:
    """Records the updates of the engine."""

    def __init__(self) -> None:
        self.updates: list[tuple[object, ...]] = []

    async def update_barrier(
        self, service: str, stale: Mapping[str, Sequence[str]], pending: Mapping[str, bool]
    ) -> None:
        await asyncio.sleep(0)
        self.updates += [("invalidate", host, *urls) for host, urls in stale.items() if urls]
        self.updates += list(pending.items())

    async def replace_barrier(
        self, pending: Mapping[str, Collection[str]], ended: Sequence[EndedWrite]
    ) -> None:
        self.replaced = ({name: sorted(keys) for name, keys in pending.items()}, list(ended))


class RecoveredEdgeTest(WritePathTest):
    async def test_after_a_crash_the_edge_gets_what_the_journal_says(self) -> None:
        writes = await self.begin(Edge())
        await writes.open(service(writes=WriteMode.ACCEPT))
        async with client(writes.intake_socket) as http:
            for number in range(3):
                await http.post(f"/n/{number}", content=b"x")
        responded = GuestResponse(201, (("location", "/made"),))
        found = [await writes.journal.find("shop", number) for number in (1, 2)]
        sent = [one.write for one in found if one is not None and one.write is not None]
        for write in sent:
            writes.journal.log_sent(write)
        writes.journal.log_response(sent[0], responded)
        with mock.patch.object(writes.journal._progress, "close"):
            await writes.stop()
        edge = Edge()
        await self.begin(edge)
        self.assertEqual(
            (
                {"shop": ["client:10.0.0.1", "url:/n/2"]},
                [
                    EndedWrite("shop", "shop.example", ("/n/0", "/made"), "10.0.0.1"),
                    EndedWrite("shop", "shop.example", ("/n/1",), "10.0.0.1"),
                ],
            ),
            edge.replaced,
        )


class EdgeUpdatesTest(WritePathTest):
    """All tests above with an engine, and its updates."""

    async def begin(self, edge=None, **journal) -> Writes:
        self.edge = Edge()
        return await super().begin(self.edge, **journal)

    async def test_reads_after_writes(self) -> None:
        writes = await self.begin()
        await writes.open(service())
        self.guest.extra = "location: /cart/1\r\ncontent-location: http://other.example/x\r\n"
        async with client(writes.intake_socket) as http:
            task = asyncio.create_task(http.post("/cart", content=b"x"))
            await reached(writes, "accepted", 1)
            before = [
                ("invalidate", "", "/cart"),
                ("url:/cart", True),
                ("client:10.0.0.1", True),
            ]
            self.assertEqual(before, self.edge.updates)
            await writes.send_to("shop", self.target)
            await task
            after = [
                ("invalidate", "shop.example", "/cart", "/cart/1", "/x"),
                ("url:/cart", False),
                ("client:10.0.0.1", False),
            ]
            self.assertEqual(before + after, self.edge.updates)
