"""What becomes of what was on its way when the guest is back."""

import asyncio
import unittest
from unittest import mock

from oslo_config import cfg

from nova_cachemig.agent.replay.pool import ConnectionPool
from nova_cachemig.conf import journal as journal_conf
from nova_cachemig.model.service import Target
from nova_cachemig.model.write import NO_BODY, HeldWrite


class LostOnTheWayTest(unittest.IsolatedAsyncioTestCase):
    async def after_return(self, *, stuck):
        conf = cfg.ConfigOpts()
        journal_conf.register(conf)
        conf([], default_config_files=[])
        pool = ConnectionPool(conf, "shop")
        connection = mock.Mock(stuck=stuck)
        pool.take(connection, HeldWrite("shop", 1, 0.0, "PUT", "/", "h", (), NO_BODY, "c"))
        pool.send_to(Target("192.0.2.1", 80))
        await asyncio.sleep(0.15)
        self.assertFalse(connection.close.called)  # the guest may have it
        return pool, connection.repeat

    async def test_tcp_repeats_it_until_the_guest_has_it(self):
        _, repeat = await self.after_return(stuck=True)
        self.assertGreater(repeat.call_count, 1)

    async def test_tcp_repeats_nothing_that_the_guest_has(self):
        _, repeat = await self.after_return(stuck=False)
        self.assertFalse(repeat.called)

    async def test_tcp_repeats_nothing_to_a_guest_that_is_silent_again(self):
        pool, repeat = await self.after_return(stuck=True)
        pool.hold()
        before = repeat.call_count
        await asyncio.sleep(0.1)
        self.assertEqual(before, repeat.call_count)
