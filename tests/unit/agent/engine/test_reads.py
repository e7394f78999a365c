"""Which reads are cut at a guest. The kernel and HAProxy are fakes."""

from __future__ import annotations

import unittest
from typing import Any
from unittest import mock

from nova_cachemig.agent.engine import reads, sockdiag
from nova_cachemig.agent.ports import ComponentError
from nova_cachemig.model.service import Target

GUEST = Target("192.0.2.1", 80)


class ReadsTest(unittest.IsolatedAsyncioTestCase):
    def setUp(self) -> None:
        self.lost, self.fine = mock.Mock(stuck=True), mock.Mock(stuck=False)
        self.guests: Any = mock.AsyncMock()
        self.guests.to.return_value = [self.lost, self.fine]
        self.ours = mock.Mock()
        self.ours.select.side_effect = lambda found, _which: found
        self.guests.descriptors.return_value = self.ours
        patch = mock.patch.object(sockdiag, "destroy", return_value=True)
        self.destroy = self.enterContext(patch)

    def cut(self) -> list[Any]:
        return [call.args[0] for call in self.destroy.call_args_list]

    async def test_lost_reads(self) -> None:
        await reads.cut_stuck(self.guests, "s", GUEST)
        self.assertEqual([self.lost], self.cut())
        self.assertIs(self.ours.reads, self.ours.select.call_args.args[1])

    async def test_haproxy_is_not_asked_without_a_lost_read(self) -> None:
        self.guests.to.return_value = [self.fine]
        await reads.cut_stuck(self.guests, "s", GUEST)
        self.guests.descriptors.assert_not_called()

    async def test_reads_that_wait(self) -> None:
        await reads.cut_waiting(self.guests, "s", GUEST)
        self.assertEqual([self.lost, self.fine], self.cut())
        self.assertIs(self.ours.waiting, self.ours.select.call_args.args[1])

    async def test_reads_that_wait_go_on_if_they_cannot_be_listed(self) -> None:
        self.guests.to.side_effect = ComponentError("broken")
        with self.assertLogs(reads.LOG.logger, "WARNING"):
            await reads.cut_waiting(self.guests, "s", GUEST)
        self.assertEqual([], self.cut())
