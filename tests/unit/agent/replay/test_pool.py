"""Retransmission of lost segments at the guest's return."""

import asyncio
import unittest
from unittest import mock

from oslo_config import cfg

from nova_cachemig.agent.replay import pool as pool_module
from nova_cachemig.agent.replay.pool import ConnectionPool
from nova_cachemig.conf import journal as journal_conf
from nova_cachemig.model.service import Target
from nova_cachemig.model.write import NO_BODY, HeldWrite


class RetransmitLostTest(unittest.IsolatedAsyncioTestCase):
    def setUp(self):
        self.enterContext(mock.patch.object(pool_module, "_RETRANSMIT_INTERVAL", 0))

    async def let_time_pass(self):
        """The interval is over in each turn of the event loop."""
        for _ in range(100):
            await asyncio.sleep(0)

    async def after_return(self, *, has_lost_segments):
        conf = cfg.ConfigOpts()
        journal_conf.register(conf)
        conf([], default_config_files=[])
        pool = ConnectionPool(conf, "shop")
        connection = mock.Mock(has_lost_segments=has_lost_segments)
        pool.assign(connection, HeldWrite("shop", 1, 0.0, "PUT", "/", "h", (), NO_BODY, "c"))
        pool.send_to(Target("192.0.2.1", 80))
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
