"""A write in flight when the guest pauses."""

import asyncio
import tempfile
from unittest import mock

from nova_cachemig.agent import retransmit
from nova_cachemig.agent.writes import Writes
from tests.functional.probe.paused import PausedGuest
from tests.functional.replay.path import client, conf_for, keeps_connections, reached, service

_SERVER = """
import asyncio
log = []
async def serve(reader, writer):
    try:
        while True:
            head = (await reader.readuntil(bytes([13, 10, 13, 10]))).decode().lower()
            length = head.split("content-length: ")[1:]
            body = await reader.readexactly(int(length[0].split()[0]) if length else 0)
            if head.startswith("get"):
                body = " ".join(log).encode()
            else:
                log.append(body.decode())
            text = "HTTP/1.1 200 OK" + chr(13) + chr(10) + f"content-length: {len(body)}"
            writer.write(text.encode() + bytes([13, 10, 13, 10]) + body)
    except (OSError, asyncio.IncompleteReadError):
        writer.close()
async def main():
    server = await asyncio.start_server(serve, "0.0.0.0", 80)
    print("up", flush=True)
    await server.serve_forever()
asyncio.run(main())
"""


class LostInFlightTest(PausedGuest):
    server = _SERVER

    async def asyncSetUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.writes = Writes(conf_for(directory.name))
        await self.writes.start()
        self.addAsyncCleanup(self.writes.stop)
        await self.writes.open(service())
        await self.writes.send_to("shop", self.target)
        keeps_connections(self.writes)

    async def after_a_pause(self):
        """Return the seconds from the guest's return to the response to a write that was lost."""
        loop = asyncio.get_running_loop()
        async with client(self.writes.intake_socket) as http:
            await http.put("/", content=b"first")
            self.pause()
            lost = asyncio.create_task(http.post("/", content=b"lost"))
            await asyncio.sleep(0.3)
            await self.writes.hold("shop")
            later = asyncio.create_task(http.put("/later", content=b"later"))
            # TCP has retransmitted it every 60 ms, six times, then after 0.12, 0.24 and 0.48 s. The
            # last time was at 1.2 s; its own timer would expire next at 2.2 s.
            await asyncio.sleep(1.05)
            self.resume()
            began = loop.time()
            await self.writes.send_to("shop", self.target)
            self.assertEqual(200, (await lost).status_code)
            took = loop.time() - began
            self.assertEqual(200, (await later).status_code)
            await asyncio.sleep(1.5)  # nothing of it must come after all
        self.assertEqual(b"first lost later", await self.applied())
        return took

    async def applied(self):
        reader, writer = await asyncio.open_connection(self.target.address, 80)
        writer.write(b"GET /log HTTP/1.1\r\n\r\n")
        await reader.readuntil(b"\r\n\r\n")
        log = await reader.read(99)
        writer.close()
        return log

    async def test_a_resendable_write_is_not_sent_twice_while_the_guest_may_have_it(self):
        """The guest has the write, but is slow to respond after its return."""
        async with client(self.writes.intake_socket) as http:
            await http.put("/", content=b"first")
            self.pause("output")
            taken = asyncio.create_task(http.put("/", content=b"taken"))
            await asyncio.sleep(0.3)
            await self.writes.hold("shop")
            await self.writes.send_to("shop", self.target)
            await asyncio.sleep(0.4)
            self.resume()
            self.assertEqual(200, (await taken).status_code)
        self.assertEqual(b"first taken", await self.applied())

    async def test_a_write_behind_one_that_the_guest_had(self):
        """The guest received the first write just before the pause, but not the second.

        The response to the first write tells TCP that its retransmissions were needless. TCP then
        waits for the acknowledgement of the second until its timer expires, after a second. A third
        write shows the gap, and TCP retransmits the second.
        """
        loop = asyncio.get_running_loop()
        async with client(self.writes.intake_socket) as http:
            for _ in range(2):  # the connection is known to be prompt
                await http.put("/", content=b"first")
            self.pause("output")
            had = asyncio.create_task(http.put("/had", content=b"had"))
            await asyncio.sleep(0.03)
            self.pause("input")
            lost = asyncio.create_task(http.put("/lost", content=b"lost"))
            await asyncio.sleep(0.3)
            await self.writes.hold("shop")
            later = asyncio.create_task(http.put("/later", content=b"later"))
            await asyncio.sleep(0.7)
            # The guest's TCP retransmits the response before it gets a retransmission of the agent.
            self.inside("nft", "delete chain inet pause output")
            self.assertEqual(200, (await had).status_code)
            self.resume()
            began = loop.time()
            await self.writes.send_to("shop", self.target)
            self.assertEqual(200, (await lost).status_code)
            took = loop.time() - began
            self.assertEqual(200, (await later).status_code)
            await asyncio.sleep(1.5)  # no segment arrives late
        self.assertEqual(b"first first had lost later", await self.applied())
        self.assertLess(took, 0.4)

    async def test_a_pause_that_outlasts_response_timeout(self):
        """Only a reachable guest that does not respond puts a write in doubt."""
        await self.writes.stop()
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.writes = Writes(conf_for(directory.name, response_timeout=1.0))
        await self.writes.start()
        self.addAsyncCleanup(self.writes.stop)
        await self.writes.open(service())
        await self.writes.send_to("shop", self.target)
        keeps_connections(self.writes)
        async with client(self.writes.intake_socket) as http:
            await http.put("/", content=b"first")
            self.pause()
            lost = asyncio.create_task(http.post("/", content=b"lost"))
            await reached(self.writes, "in_flight", 1)
            await self.writes.hold("shop")
            await asyncio.sleep(3.5)  # TCP would give up after 1 s, at its next timer
            self.resume()
            await self.writes.send_to("shop", self.target)
            self.assertEqual(200, (await lost).status_code)
        self.assertEqual(b"first lost", await self.applied())
        self.assertEqual(0, (await self.writes.counts("shop")).in_doubt)

    async def test_tcp_retransmits_immediately(self):
        self.assertLess(await self.after_a_pause(), 0.4)

    async def test_without_the_rights_it_waits_for_tcp(self):
        retransmit._warn_once.cache_clear()
        self.addCleanup(retransmit._warn_once.cache_clear)
        with (
            mock.patch.object(retransmit, "_first_unacknowledged", side_effect=PermissionError),
            self.assertLogs(retransmit.LOG, "WARNING") as logs,
        ):
            took = await self.after_a_pause()
        self.assertLess(0.4, took)
        self.assertLess(took, 2.0)
        self.assertIn("CAP_NET_RAW", logs.output[0])
