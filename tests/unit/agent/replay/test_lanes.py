"""Which connections are given up when the guest is back."""

import asyncio
import unittest
from unittest import mock

from oslo_config import cfg

from nova_cachemig.agent.replay import lanes as lanes_module
from nova_cachemig.agent.replay.lanes import Lanes
from nova_cachemig.conf import journal as journal_conf
from nova_cachemig.model.service import Target
from nova_cachemig.model.write import NO_BODY, Body, HeldWrite


def write(method="PUT", body=NO_BODY):
    return HeldWrite("shop", 1, 0.0, method, "/", "h", (), body, "c")


class LostOnTheWayTest(unittest.IsolatedAsyncioTestCase):
    async def given_up(self, one, **facts):
        conf = cfg.ConfigOpts()
        journal_conf.register(conf)
        conf([], default_config_files=[])
        lanes = Lanes(conf, "shop")
        connection = mock.Mock(stuck=True)
        connection.repeat.return_value = False
        connection.configure_mock(**facts)
        self.connection = connection
        lanes.take(connection, one)
        lanes.send_to(Target("192.0.2.1", 80))
        await asyncio.sleep(0.15)
        return connection.close.called

    async def test_what_may_be_sent_again(self):
        self.assertTrue(await self.given_up(write()))

    async def test_not_what_may_not_be_sent_twice(self):
        self.assertFalse(await self.given_up(write("POST")))

    async def test_not_what_the_guest_has(self):
        self.assertFalse(await self.given_up(write(), stuck=False))

    async def test_not_an_upload(self):
        self.assertFalse(await self.given_up(write(body=Body(spool="x", length=9))))

    async def test_later_where_tcp_repeats_it(self):
        repeats = {"repeat.return_value": True}
        with mock.patch.object(lanes_module, "_LOST_AFTER", 60):
            self.assertFalse(await self.given_up(write(), **repeats))
        with mock.patch.object(lanes_module, "_LOST_AFTER", 0.01):
            self.assertTrue(await self.given_up(write(), **repeats))

    async def test_tcp_repeats_what_may_not_be_sent_twice(self):
        await self.given_up(write("POST"), **{"repeat.return_value": True})
        self.assertGreater(self.connection.repeat.call_count, 1)  # until the guest has it

    async def test_tcp_repeats_nothing_that_the_guest_has(self):
        await self.given_up(write("POST"), stuck=False)
        self.assertFalse(self.connection.repeat.called)
