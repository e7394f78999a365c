import unittest
from unittest import mock

from nova_cachemig.compute import agent_link
from nova_cachemig.compute.change import ChangeNotice
from nova_cachemig.compute.notification import MigrationEvent
from nova_cachemig.model.change import InstanceChange
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

    def test_a_change_goes_to_an_agent_that_is_not_known_to_be_older(self) -> None:
        link = agent_link.AgentLink(nova_conf(), Faults())
        notice = ChangeNotice(InstanceChange.DELETED, "uuid-1", "req-1")
        with self.assertLogs("nova_cachemig", "INFO"):
            for ping, sent in (
                (None, 1),
                ({"host": "cache1"}, 1),  # of 1.0
                ({"rpc_version": "1.2"}, 1),
                ({"rpc_version": "1.3"}, 2),
                ({"rpc_version": "1.10"}, 3),
                ({"rpc_version": "2.3"}, 3),
                ({"rpc_version": "new"}, 3),
            ):
                if ping is not None:
                    self.client.ping.return_value = ping
                    link.pings.step()
                link.report(notice)
                with self.subTest(ping):
                    self.assertEqual(sent, self.client.instance_changed.call_count)
        self.client.instance_changed.assert_called_with(
            {"request_id": "req-1"}, "uuid-1", InstanceChange.DELETED
        )
