"""The connections of a guest at its pause and its return."""

import asyncio
import unittest
from unittest import mock

from oslo_config import cfg

from nova_cachemig.agent.replay import pool as pool_module
from nova_cachemig.agent.replay.pool import ConnectionPool
from nova_cachemig.conf import journal as journal_conf
from nova_cachemig.model.service import Target
from nova_cachemig.model.write import NO_BODY, AcceptedWrite

HERE = Target("192.0.2.1", 80)


def make_pool() -> ConnectionPool:
    conf = cfg.ConfigOpts()
    journal_conf.register(conf)
    conf([], default_config_files=[])
    return ConnectionPool(conf, "shop")


def write(position: int) -> AcceptedWrite:
    return AcceptedWrite("shop", position, 0.0, "PUT", f"/{position}", "h", (), NO_BODY, "c")


class FindPipelinedTest(unittest.TestCase):
    def setUp(self):
        """A write is in flight at the guest's pause, and the guest has returned."""
        self.now = mock.Mock(**{"time.return_value": 10.0})
        clock = mock.patch.object(pool_module.asyncio, "get_running_loop", return_value=self.now)
        clock.start()
        self.addCleanup(clock.stop)
        self.pool = make_pool()
        self.pool.send_to(HERE)
        self.connection = mock.Mock(target=HERE, silent_since=9.0)
        self.pool.assign(self.connection, write(1))
        self.pool.hold()
        self.now.time.return_value = 20.0
        self.pool.send_to(HERE)

    def test_not_before_a_response(self):
        self.assertIsNone(self.pool.find_pipelined(write(2)))

    def test_a_response_before_the_gate_opened(self):
        self.connection.silent_since = 15.0
        self.assertIs(self.connection, self.pool.find_pipelined(write(2)))

    def test_the_pause_begins_once(self):
        """A second hold() reports nothing new."""
        self.assertEqual(1, self.connection.note_pause.call_count)
        self.pool.hold()
        self.pool.hold()
        self.assertEqual(2, self.connection.note_pause.call_count)


class RetransmitLostTest(unittest.IsolatedAsyncioTestCase):
    def setUp(self):
        self.enterContext(mock.patch.object(pool_module, "_RETRANSMIT_INTERVAL", 0))

    async def let_time_pass(self):
        """The interval is over in each turn of the event loop."""
        for _ in range(100):
            await asyncio.sleep(0)

    async def after_return(self, *, has_lost_segments):
        pool = make_pool()
        connection = mock.Mock(has_lost_segments=has_lost_segments)
        pool.assign(connection, write(1))
        pool.send_to(HERE)
        await self.let_time_pass()
        self.assertFalse(connection.close.called)  # the guest may have it
        return pool, connection.retransmit

    async def test_until_the_guest_has_it(self):
        _, retransmit = await self.after_return(has_lost_segments=True)
        self.assertGreater(retransmit.call_count, 1)

    async def test_nothing_that_the_guest_has(self):
        _, retransmit = await self.after_return(has_lost_segments=False)
        self.assertFalse(retransmit.called)

    async def test_nothing_to_a_guest_that_is_silent_again(self):
        pool, retransmit = await self.after_return(has_lost_segments=True)
        pool.hold()
        before = retransmit.call_count
        await self.let_time_pass()
        self.assertEqual(before, retransmit.call_count)
