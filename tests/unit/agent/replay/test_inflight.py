"""The next write goes out in the turn of the answer, unless anything speaks against it."""

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
from nova_cachemig.agent.replay import inflight
from nova_cachemig.agent.replay.queue import WriteQueue
from nova_cachemig.agent.replay.sender import Sender
from nova_cachemig.conf import agent as agent_conf
from nova_cachemig.conf import journal as journal_conf
from nova_cachemig.model.service import Service, Target
from nova_cachemig.model.write import Body, HeldWrite

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"
HERE, THERE = Target("192.0.2.1", 80), Target("192.0.2.2", 80)


class Wire(asyncio.Transport):
    """What a connection writes; ``saw`` is called before each."""

    def __init__(self, saw):
        super().__init__()
        self.saw, self.written, self.closed = saw, [], False
        self.packets = 0

    def write(self, data):
        self.saw()
        self.packets += 1
        self.written += re.findall(rb"(?:POST|PUT) [^ ]* HTTP", data)

    def is_closing(self):
        return self.closed

    def abort(self):
        self.closed = True

    def set_write_buffer_limits(self, high=None, low=None):
        pass

    def get_extra_info(self, name, default=None):
        return mock.Mock()


class FollowTest(unittest.IsolatedAsyncioTestCase):
    async def begin(self, count=3, *, methods=(), parallel=1, window=64, **facts):
        """Two or more writes wait, the first is on its way, the second is at hand."""
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
        standing = await self.journal.queue_state("shop")
        service = Service("shop", "uuid", 80, ("192.0.2.1", 80))
        self.line = WriteQueue(self.journal, service, standing, window, parallel)
        self.sender = Sender(self.journal, self.line, conf, lambda _write, _answer, then: then())
        self.wires, self.connections, self.saw = [], [], mock.Mock()
        connect = mock.patch.object(guest, "connect", self.connect)
        connect.start()
        self.addCleanup(connect.stop)
        self.sender.start()
        self.addAsyncCleanup(self.sender.stop, 0.0)
        methods = methods or ["POST"] * count
        self.answers = [await self.accept(method, **facts) for method in methods]
        self.sender.send_to(HERE)
        await self.until(lambda: self.sent() == 1 and self.sender._buffer.first is not None)

    async def connect(self, target, **_facts):
        connection, wire = guest.GuestConnection(target, 1 << 20), Wire(self.saw)
        connection.connection_made(wire)
        self.connections.append(connection)
        self.wires.append(wire)
        return connection

    async def accept(self, method, url=None, **facts):
        position = self.line.take_position()
        write = HeldWrite("shop", position, 1.0, method, url or f"/{position}", "h", (),
                          Body.of(b"x"), "me", **facts)  # fmt: skip
        accepted, answer = self.line.append(write, None)
        await accepted
        return answer

    async def until(self, true):
        async with asyncio.timeout(10):
            while not true():  # noqa: ASYNC110
                await asyncio.sleep(0.001)

    def sent(self):
        return sum(len(wire.written) for wire in self.wires)

    def follows(self, data=OK):
        """Whether the second is sent in the turn of the loop in which the first is answered."""
        self.connections[0].data_received(data)
        return self.sent() == 2

    async def all_go(self, wanted):
        """Each is sent once and in order."""
        async with asyncio.timeout(20):
            while not all(answer.done() for answer in self.answers):
                for connection in self.connections:
                    if connection.open and connection._waiters:
                        connection.data_received(OK)
                await asyncio.sleep(0.001)
        self.assertEqual({200}, {answer.result().status for answer in self.answers})
        urls = [part.split()[1].decode() for wire in self.wires for part in wire.written]
        self.assertEqual([f"/{number + 1}" for number in range(wanted)], urls)

    async def test_it_follows_at_once(self):
        await self.begin()
        self.assertTrue(self.follows())
        await self.all_go(3)
        self.assertEqual(1, len(self.wires))

    def packets(self):
        return sum(wire.packets for wire in self.wires)

    async def test_what_may_go_behind_it_goes_in_the_same_packet(self):
        """A run ends with the first that may not be sent twice."""
        await self.begin(methods=["POST", "PUT", "PUT", "POST", "PUT", "POST"])
        await self.until(lambda: len(self.sender._buffer.writes) == 5)
        self.connections[0].data_received(OK)
        self.assertEqual((4, 2), (self.sent(), self.packets()))
        self.connections[0].data_received(OK)  # nothing may go behind the POST on its way
        self.assertEqual((4, 2), (self.sent(), self.packets()))
        self.connections[0].data_received(OK + OK)
        self.assertEqual((6, 3), (self.sent(), self.packets()))
        await self.all_go(6)

    async def test_a_run_goes_on_while_the_guest_deals_with_it(self):
        await self.begin(methods=["POST"] + ["PUT"] * 20)
        await self.until(lambda: len(self.sender._buffer.writes) == 16)
        self.connections[0].data_received(OK)
        self.assertEqual((17, 2), (self.sent(), self.packets()))  # as deep as the pipeline is
        await self.until(lambda: self.sender._buffer.writes)
        self.connections[0].data_received(OK)
        self.assertEqual((18, 3), (self.sent(), self.packets()))
        await self.all_go(21)

    async def test_no_run_of_writes_to_one_page(self):
        await self.begin(methods=["POST", "PUT", "PUT"], url="/a")
        await self.until(lambda: len(self.sender._buffer.writes) == 2)
        self.assertTrue(self.follows())

    async def test_no_run_to_a_guest_that_is_slow(self):
        await self.begin(methods=["POST", "PUT", "PUT"])
        await self.until(lambda: len(self.sender._buffer.writes) == 2)
        with mock.patch.object(guest, "PROMPT", -1.0):
            self.assertTrue(self.follows())
        await self.all_go(3)

    async def test_no_run_beyond_the_mark(self):
        await self.begin(methods=["POST", "PUT", "PUT"])
        await self.until(lambda: len(self.sender._buffer.writes) == 2)
        with mock.patch.object(self.line, "send_limit", 2):
            self.assertTrue(self.follows())
        await self.all_go(3)

    async def test_the_answer_is_logged_before_the_next_goes_out(self):
        await self.begin()
        found = []
        log = self.path / "progress.log"
        self.saw.side_effect = lambda: found.append(ProgressLog(log).open())
        self.assertTrue(self.follows())
        self.assertEqual({("shop", 1), ("shop", 2)}, found[0].sent)
        self.assertEqual([("shop", 1)], list(found[0].responses))

    async def test_not_when_the_gate_is_closed(self):
        await self.begin()
        self.sender.hold()
        self.assertFalse(self.follows())
        await asyncio.sleep(0.02)
        self.assertEqual(1, self.sent())
        self.sender.send_to(HERE)
        await self.all_go(3)

    async def test_not_to_where_the_guest_was(self):
        await self.begin()
        self.sender.send_to(THERE)
        self.assertFalse(self.follows())
        await self.all_go(3)
        self.assertEqual([1, 2], [len(wire.written) for wire in self.wires])
        self.assertEqual(THERE, self.connections[1].target)

    async def test_not_where_the_guest_ends_the_connection(self):
        await self.begin()
        self.assertFalse(self.follows(OK.replace(b"\r\n", b"\r\nconnection: close\r\n", 1)))
        found = ProgressLog(self.path / "progress.log").open()
        self.assertEqual({("shop", 1)}, found.sent)  # nor is it logged as if it were
        await self.all_go(3)
        self.assertEqual([1, 2], [len(wire.written) for wire in self.wires])

    async def test_not_where_an_answer_comes_that_nobody_asked_for(self):
        for more in (OK, OK[:9]):
            with self.subTest(more=more):
                await self.begin()
                self.assertFalse(self.follows(OK + more))
                await self.all_go(3)
                self.assertEqual([1, 2], [len(wire.written) for wire in self.wires])

    async def test_not_while_the_guest_still_deals_with_the_first_try(self):
        await self.begin(key='"k"', honours_keys=True)
        with mock.patch.object(self.sender._pool, "joined", return_value=None):
            again = b"HTTP/1.1 409 Conflict\r\nretry-after: 1\r\ncontent-length: 0\r\n\r\n"
            before = self.sent()
            self.connections[0].data_received(again)
            self.assertEqual(before, self.sent())
            self.assertEqual({}, ProgressLog(self.path / "progress.log").open().responses)

    async def test_not_beyond_the_mark(self):
        await self.begin(window=1)
        with mock.patch.object(self.line, "send_limit", 1):
            self.assertFalse(self.follows())
        await self.all_go(3)
        standing = await self.journal.queue_state("shop")
        self.assertEqual(3, standing.send_limit)

    async def test_not_while_too_many_answers_wait_for_the_disk(self):
        await self.begin()
        with mock.patch.object(inflight, "MAX_UNRECORDED", 0):
            self.assertFalse(self.follows())
        await self.all_go(3)

    async def test_not_an_upload(self):
        await self.begin(count=2)
        spooled = HeldWrite("shop", 0, 1.0, "POST", "/", "h", (), Body(spool="x", length=9), "me")
        self.sender._buffer.put(spooled)
        self.assertFalse(self.follows())
        self.assertFalse(self.line.is_sent(spooled))
        self.sender.hold()

    async def test_not_where_writes_go_side_by_side(self):
        await self.begin(parallel=4)
        self.assertFalse(self.follows())
        await self.all_go(3)

    async def test_not_while_another_keeps_its_place(self):
        await self.begin()
        other = HeldWrite("shop", 99, 1.0, "POST", "/", "h", (), Body(), "me")
        self.line.ordering.begin(other)  # as one that is being set aside
        self.assertFalse(self.follows())
        self.line.ordering.end(99)
        self.line.touch()
        await self.all_go(3)

    async def test_not_when_it_cannot_be_logged(self):
        await self.begin()
        log = self.journal._progress
        with mock.patch.object(log, "log_sent", side_effect=OSError("full")):
            self.assertFalse(self.follows())
        await self.all_go(3)

    async def test_not_when_the_answer_cannot_be_logged(self):
        await self.begin()
        with mock.patch.object(self.journal._progress, "log_response", side_effect=OSError("full")):
            self.assertFalse(self.follows())
        await self.all_go(3)

    async def test_not_after_the_end(self):
        await self.begin()
        self.sender._inflight.stop()
        self.assertFalse(self.follows())

    async def test_a_connection_that_breaks_then(self):
        await self.begin()
        self.assertTrue(self.follows())
        self.connections[0].connection_lost(None)
        await self.until(lambda: self.line.in_doubt == 1)
        self.assertEqual(200, (await self.answers[0]).status)
        await self.until(lambda: self.sent() == 3)
        self.connections[1].data_received(OK)
        self.assertEqual(200, (await self.answers[2]).status)
        self.assertIsNotNone(self.answers[1].exception())

    async def test_a_mistake_of_ours_leaves_it_to_a_person(self):
        await self.begin()
        with mock.patch.object(self.line, "finish", side_effect=KeyError("ours")):
            self.assertTrue(self.follows())
        await self.until(lambda: self.line.in_doubt == 1)
        self.assertIsNotNone(self.answers[0].exception())
        self.connections[0].data_received(OK)
        self.assertEqual(200, (await self.answers[1]).status)
