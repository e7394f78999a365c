"""The next write is sent immediately when a response arrives, if the rules permit it."""

import asyncio
import re
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from oslo_config import cfg

from nova_cachemig.agent.journal.progress import ProgressLog
from nova_cachemig.agent.journal.store import Journal
from nova_cachemig.agent.replay import connection as guest
from nova_cachemig.agent.replay import inflight, sockets
from nova_cachemig.agent.replay.queue import WriteQueue
from nova_cachemig.agent.replay.sender import Sender
from nova_cachemig.conf import agent as agent_conf
from nova_cachemig.conf import journal as journal_conf
from nova_cachemig.model.service import Service, Target
from nova_cachemig.model.write import AcceptedWrite, Body

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"
HERE, THERE = Target("192.0.2.1", 80), Target("192.0.2.2", 80)


class Wire(asyncio.Transport):
    """Records what a connection writes; calls ``before_write`` first."""

    def __init__(self, before_write):
        super().__init__()
        self.before_write, self.written, self.closed = before_write, [], False
        self.packets = 0

    def write(self, data):
        self.before_write()
        self.packets += 1
        self.written += re.findall(rb"(?:POST|PUT) [^ ]* HTTP", data)

    def is_closing(self):
        return self.closed

    def abort(self):
        self.closed = True

    def set_write_buffer_limits(self, high=None, low=None):
        pass

    def get_extra_info(self, name, default=None):
        return mock.Mock(**{"getsockopt.return_value": bytes(32)})  # nothing is lost


class SendNextTest(unittest.IsolatedAsyncioTestCase):
    async def begin(self, count=3, *, methods=(), parallel=1, window=64, **facts):
        """Several writes are accepted; the first is in flight, the second is in the buffer."""
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.path = Path(directory.name)
        conf = cfg.ConfigOpts()
        agent_conf.register(conf)
        journal_conf.register(conf)
        conf([], default_config_files=[])
        conf.set_override("state_dir", directory.name, "agent")
        self.journal = Journal(conf)
        await self.journal.open()
        self.addAsyncCleanup(self.journal.close)
        state = await self.journal.queue_state("shop")
        service = Service("shop", "uuid", 80, ("192.0.2.1", 80))
        self.queue = WriteQueue(self.journal, service, state, window, parallel)
        self.sender = Sender(self.journal, self.queue, conf, lambda _write, _response, then: then())
        self.wires, self.connections, self.before_write = [], [], mock.Mock()
        connect = mock.patch.object(sockets, "connect", self.connect)
        connect.start()
        self.addCleanup(connect.stop)
        self.sender.start()
        self.addAsyncCleanup(self.sender.stop, 0.0)
        methods = methods or ["POST"] * count
        self.responses = [await self.accept(method, **facts) for method in methods]
        self.sender.send_to(HERE)
        await self.until(lambda: self.sent() == 1 and self.sender._buffer.first is not None)

    async def connect(self, target, **_facts):
        connection, wire = guest.GuestConnection(target, 1 << 20), Wire(self.before_write)
        connection.connection_made(wire)
        self.connections.append(connection)
        self.wires.append(wire)
        return connection

    async def accept(self, method, url=None, **facts):
        position = self.queue.take_position()
        write = AcceptedWrite("shop", position, 1.0, method, url or f"/{position}", "h", (),
                          Body.of(b"x"), "me", **facts)  # fmt: skip
        accepted, response = self.queue.append(write, None)
        await accepted
        return response

    async def until(self, true):
        async with asyncio.timeout(10):
            while not true():  # noqa: ASYNC110
                await asyncio.sleep(0.001)

    def sent(self):
        return sum(len(wire.written) for wire in self.wires)

    def sends_next(self, data=OK):
        """Whether the second is sent immediately when the first gets its response."""
        self.connections[0].data_received(data)
        return self.sent() == 2

    async def finish_all(self, count):
        """Respond to all writes; each was sent once and in order."""
        async with asyncio.timeout(20):
            while not all(response.done() for response in self.responses):
                for connection in self.connections:
                    if connection.open and connection._waiting:
                        connection.data_received(OK)
                await asyncio.sleep(0.001)
        self.assertEqual({200}, {response.result().status for response in self.responses})
        urls = [part.split()[1].decode() for wire in self.wires for part in wire.written]
        self.assertEqual([f"/{number + 1}" for number in range(count)], urls)

    async def test_the_next_write_is_sent_immediately(self):
        await self.begin()
        self.assertTrue(self.sends_next())
        await self.finish_all(3)
        self.assertEqual(1, len(self.wires))

    def packets(self):
        return sum(wire.packets for wire in self.wires)

    async def test_pipelined_writes_share_a_packet(self):
        """The pipeline ends with the first write that must not be sent twice."""
        await self.begin(methods=["POST", "PUT", "PUT", "POST", "PUT", "POST"])
        await self.until(lambda: len(self.sender._buffer.writes) == 5)
        self.connections[0].data_received(OK)
        self.assertEqual((4, 2), (self.sent(), self.packets()))
        self.connections[0].data_received(OK)  # nothing may be pipelined behind the POST
        self.assertEqual((4, 2), (self.sent(), self.packets()))
        self.connections[0].data_received(OK + OK)
        self.assertEqual((6, 3), (self.sent(), self.packets()))
        await self.finish_all(6)

    async def test_a_pipeline_is_refilled(self):
        await self.begin(methods=["POST"] + ["PUT"] * 20)
        await self.until(lambda: len(self.sender._buffer.writes) == 16)
        self.connections[0].data_received(OK)
        self.assertEqual((17, 2), (self.sent(), self.packets()))  # the depth of the pipeline
        await self.until(lambda: self.sender._buffer.writes)
        self.connections[0].data_received(OK)
        self.assertEqual((18, 3), (self.sent(), self.packets()))
        await self.finish_all(21)

    async def test_no_pipeline_of_writes_to_one_page(self):
        await self.begin(methods=["POST", "PUT", "PUT"], url="/a")
        await self.until(lambda: len(self.sender._buffer.writes) == 2)
        self.assertTrue(self.sends_next())

    async def test_no_pipeline_to_a_slow_guest(self):
        await self.begin(methods=["POST", "PUT", "PUT"])
        await self.until(lambda: len(self.sender._buffer.writes) == 2)
        with mock.patch.object(guest, "PROMPT", -1.0):
            self.assertTrue(self.sends_next())
        await self.finish_all(3)

    async def test_no_pipeline_beyond_the_send_limit(self):
        await self.begin(methods=["POST", "PUT", "PUT"])
        await self.until(lambda: len(self.sender._buffer.writes) == 2)
        with mock.patch.object(self.queue, "send_limit", 2):
            self.assertTrue(self.sends_next())
        await self.finish_all(3)

    async def test_the_response_is_logged_before_the_next_write_is_sent(self):
        await self.begin()
        found = []
        log = self.path / "progress.log"
        self.before_write.side_effect = lambda: found.append(ProgressLog(log).open())
        self.assertTrue(self.sends_next())
        self.assertEqual({("shop", 1), ("shop", 2)}, found[0].sent)
        self.assertEqual([("shop", 1)], list(found[0].responses))

    async def test_not_when_the_gate_is_closed(self):
        await self.begin()
        self.sender.hold()
        self.assertFalse(self.sends_next())
        for _ in range(100):  # turns of the event loop
            await asyncio.sleep(0)
        self.assertEqual(1, self.sent())
        self.sender.send_to(HERE)
        await self.finish_all(3)

    async def test_not_to_the_guests_old_address(self):
        await self.begin()
        self.sender.send_to(THERE)
        self.assertFalse(self.sends_next())
        await self.finish_all(3)
        self.assertEqual([1, 2], [len(wire.written) for wire in self.wires])
        self.assertEqual(THERE, self.connections[1].target)

    async def test_not_if_the_guest_ends_the_connection(self):
        await self.begin()
        self.assertFalse(self.sends_next(OK.replace(b"\r\n", b"\r\nconnection: close\r\n", 1)))
        found = ProgressLog(self.path / "progress.log").open()
        self.assertEqual({("shop", 1)}, found.sent)  # the second is not logged as sent
        await self.finish_all(3)
        self.assertEqual([1, 2], [len(wire.written) for wire in self.wires])

    async def test_not_after_an_unsolicited_response(self):
        for more in (OK, OK[:9]):
            with self.subTest(more=more):
                await self.begin()
                self.assertFalse(self.sends_next(OK + more))
                await self.finish_all(3)
                self.assertEqual([1, 2], [len(wire.written) for wire in self.wires])

    async def test_not_while_the_guest_processes_the_first_try(self):
        await self.begin(key='"k"', honours_keys=True)
        with mock.patch.object(self.sender._pool, "find_pipelined", return_value=None):
            again = b"HTTP/1.1 409 Conflict\r\nretry-after: 1\r\ncontent-length: 0\r\n\r\n"
            before = self.sent()
            self.connections[0].data_received(again)
            self.assertEqual(before, self.sent())
            self.assertEqual({}, ProgressLog(self.path / "progress.log").open().responses)

    async def test_not_beyond_the_send_limit(self):
        await self.begin(window=1)
        with mock.patch.object(self.queue, "send_limit", 1):
            self.assertFalse(self.sends_next())
        await self.finish_all(3)
        state = await self.journal.queue_state("shop")
        self.assertEqual(3, state.send_limit)

    async def test_not_while_too_many_responses_are_unrecorded(self):
        await self.begin()
        with mock.patch.object(inflight, "MAX_UNRECORDED", 0):
            self.assertFalse(self.sends_next())
        await self.finish_all(3)

    async def test_not_an_upload(self):
        await self.begin(count=2)
        spooled = AcceptedWrite(
            "shop", 0, 1.0, "POST", "/", "h", (), Body(spool="x", length=9), "me"
        )
        self.sender._buffer.add(spooled)
        self.assertFalse(self.sends_next())
        self.assertIn(spooled, self.sender._buffer.writes)
        self.sender.hold()

    async def test_not_if_writes_are_sent_in_parallel(self):
        await self.begin(parallel=4)
        self.assertFalse(self.sends_next())
        await self.finish_all(3)

    async def test_not_while_a_write_is_being_quarantined(self):
        await self.begin()
        other = AcceptedWrite("shop", 99, 1.0, "POST", "/", "h", (), Body(), "me")
        self.queue.ordering.start(other)
        self.assertFalse(self.sends_next())
        self.queue.ordering.finish(99)
        self.queue.notify()
        await self.finish_all(3)

    async def test_not_if_it_cannot_be_logged(self):
        await self.begin()
        log = self.journal._progress
        with mock.patch.object(log, "log_sent", side_effect=OSError("full")):
            self.assertFalse(self.sends_next())
        await self.finish_all(3)

    async def test_not_if_the_response_cannot_be_logged(self):
        await self.begin()
        with mock.patch.object(self.journal._progress, "log_response", side_effect=OSError("full")):
            self.assertFalse(self.sends_next())
        await self.finish_all(3)

    async def test_not_after_stop(self):
        await self.begin()
        self.sender._inflight.stop()
        self.assertFalse(self.sends_next())

    async def test_the_connection_breaks_afterwards(self):
        await self.begin()
        self.assertTrue(self.sends_next())
        self.connections[0].connection_lost(None)
        await self.until(lambda: self.queue.in_doubt == 1)
        self.assertEqual(200, (await self.responses[0]).status)
        await self.until(lambda: self.sent() == 3)
        self.connections[1].data_received(OK)
        self.assertEqual(200, (await self.responses[2]).status)
        self.assertIsNotNone(self.responses[1].exception())

    async def test_a_bug_of_the_agent_quarantines_the_write(self):
        await self.begin()
        with mock.patch.object(self.queue, "finish", side_effect=KeyError("ours")):
            self.assertTrue(self.sends_next())
        await self.until(lambda: self.queue.in_doubt == 1)
        self.assertIsNotNone(self.responses[0].exception())
        self.connections[0].data_received(OK)
        self.assertEqual(200, (await self.responses[1]).status)
