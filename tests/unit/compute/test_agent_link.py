import unittest
from unittest import mock

from nova_cachemig.compute import agent_link
from nova_cachemig.compute.notification import MigrationEvent
from nova_cachemig.model.event import EventKind
from nova_cachemig.rpc.client import UnreachableError
from nova_cachemig.rpc.faults import Faults
from tests.unit.compute.test_notifier import nova_conf

PREPARED = MigrationEvent(EventKind.ARM, "uuid-1", "req-1", "b", "a", "x")


class Transport:
    """Of Nova's notifications."""


class AgentLinkTest(unittest.TestCase):
    def setUp(self) -> None:
        patch = mock.patch.object(agent_link, "AgentClient")
        self.client = patch.start().return_value
        self.addCleanup(patch.stop)

    def test_the_drivers_on_one_transport_share_it(self) -> None:
        conf, one, other = nova_conf(), Transport(), Transport()
        first = agent_link.of(conf, one, Faults())
        self.assertIs(first, agent_link.of(conf, one, Faults()))
        self.assertIsNot(first, agent_link.of(conf, other, Faults()))
        self.assertIsNot(agent_link.of(conf, None, Faults()), agent_link.of(conf, None, Faults()))

    def test_migrations_wait_again_as_soon_as_the_agent_responds(self) -> None:
        link = agent_link.AgentLink(nova_conf(), Faults())
        self.client.wait_warm.side_effect = UnreachableError("no agent listens")
        self.client.ping.return_value = {"host": "cache1"}
        with (
            mock.patch.object(link.pings, "check_soon") as check_soon,
            self.assertLogs("nova_cachemig", "INFO"),
        ):
            link.hook.handle(PREPARED)
            check_soon.assert_called_once_with()
            link.hook.handle(PREPARED)
            self.assertEqual(1, self.client.wait_warm.call_count)
            link.pings.step()
            link.hook.handle(PREPARED)
        self.assertEqual(2, self.client.wait_warm.call_count)
