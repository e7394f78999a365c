"""The agent's files, read and written without an agent."""

from __future__ import annotations

import tempfile
import unittest
from pathlib import Path
from unittest import mock

from nova_cachemig.agent import offline
from nova_cachemig.agent.offline import OfflineAgent
from nova_cachemig.agent.ports import ComponentError, NovaUnreachableError
from nova_cachemig.agent.services import schema
from nova_cachemig.agent.services.addresses import AddressBook
from nova_cachemig.model.handover import HandoverId, HandoverRecord
from nova_cachemig.model.phase import Phase
from nova_cachemig.model.reach import Attempt, Reach
from nova_cachemig.model.service import Route, Target
from nova_cachemig.model.write import WriteState
from tests.functional.replay.path import conf_for
from tests.unit.agent.journal import disk

ENTRY = {
    "name": "shop",
    "instance": "5f3c0b6a-0000-4000-8000-000000000001",
    "port": 80,
    "listen": "192.0.2.1:80",
}
OTHER = "5f3c0b6a-0000-4000-8000-000000000002"
IN_DOUBT = (WriteState.IN_DOUBT,)


def record(request: str, started: float) -> HandoverRecord:
    return HandoverRecord(HandoverId("u1", request), ("shop",), "a", "b", Phase.ARMED, started)


class OfflineAgentTest(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = Path(folder.name)
        self.conf = conf_for(self.root / "state")
        self.services = self.root / "services.d"
        self.services.mkdir()
        (self.root / "state").mkdir()
        self.conf.set_override("services_dir", str(self.services), "agent")
        self.agent = OfflineAgent(self.conf)

    def test_services_are_added_listed_and_removed(self) -> None:
        self.assertEqual([], self.agent.services())
        for name, port in (("till", 81), ("shop", 80)):
            entry = ENTRY | {"name": name, "listen": f"192.0.2.1:{port}"}
            added = self.agent.add_service(entry, check=False)
            self.assertEqual((self.services / f"{name}.yaml", None), (added.path, added.guest))
        self.assertEqual(["shop", "till"], [entry["name"] for entry in self.agent.services()])
        self.agent.remove_service("shop")
        self.assertEqual(["till"], [entry["name"] for entry in self.agent.services()])

    def test_a_service_that_is_not_valid_is_not_written(self) -> None:
        with self.assertRaisesRegex(ComponentError, "port"):
            self.agent.add_service(ENTRY | {"port": 0}, check=False)
        self.assertEqual([], self.agent.services())

    def nova(self, **address: object) -> mock.Mock:
        """Let Nova know an instance; ``address``: the mock's return value or side effect."""
        instance = mock.Mock()
        instance.address.configure_mock(**address)
        nova = mock.Mock()
        nova.return_value.instance = mock.AsyncMock(return_value=instance)
        self.enterContext(mock.patch.object(offline, "NovaApi", nova))
        attempt = Attempt(Reach.SILENT, "192.0.2.9")
        tried = mock.AsyncMock(return_value=attempt)
        self.enterContext(mock.patch.object(offline.probe, "try_guest", tried))
        return tried

    def test_the_check_asks_nova_for_an_address(self) -> None:
        self.nova(side_effect=ComponentError("it has no address"))
        with self.assertRaisesRegex(ComponentError, "no address"):
            self.agent.add_service(ENTRY, check=True)
        self.assertEqual([], self.agent.services())

    def test_without_nova_the_error_names_the_remedies(self) -> None:
        nova = mock.Mock()
        nova.return_value.instance.side_effect = NovaUnreachableError("Nova could not be asked: x")
        with (
            mock.patch.object(offline, "NovaApi", nova),
            self.assertRaisesRegex(NovaUnreachableError, "asked: x. .*doctor.*--no-check"),
        ):
            self.agent.add_service(ENTRY, check=True)
        self.assertEqual([], self.agent.services())

    def test_the_check_tries_the_guest_and_adds_the_service_anyway(self) -> None:
        tried = self.nova(return_value="10.0.0.5")
        added = self.agent.add_service(ENTRY, check=True)
        self.assertEqual((Target("10.0.0.5", 80), Attempt(Reach.SILENT, "192.0.2.9")), added.guest)
        tried.assert_awaited_once_with(Target("10.0.0.5", 80), timeout=2.0)
        self.assertTrue(added.path.exists())

    def test_the_check_refuses_an_address_of_another_guest(self) -> None:
        self.nova(return_value="10.0.0.5")
        self.agent.add_service(ENTRY, check=True)
        first = schema.parse({"services": [ENTRY]}, "")[0][0]
        book = AddressBook(self.root / "state" / "addresses.json")
        book.save([Route(first, Target("10.0.0.5", 80))])
        other = ENTRY | {"name": "till", "listen": "192.0.2.2:80", "instance": OTHER}
        with self.assertRaisesRegex(ComponentError, "of service shop has"):
            self.agent.add_service(other, check=True)
        self.agent.add_service(other | {"address": "10.0.0.6"}, check=True)
        self.assertEqual(["shop", "till"], [entry["name"] for entry in self.agent.services()])

    def test_a_handover_by_its_request_or_the_newest(self) -> None:
        found = [record("req-2", 2.0), record("req-1", 1.0)]
        with mock.patch.object(offline, "newest_handovers", return_value=found):
            self.assertEqual(found, self.agent.handovers(5))
            self.assertEqual(found[0], self.agent.handover("u1", None))
            self.assertEqual(found[1], self.agent.handover("u1", "req-1"))
            self.assertIsNone(self.agent.handover("u2", None))

    def test_writes_are_listed_read_and_decided(self) -> None:
        bodies = {"shop/1": b"one", "shop/2": b"z" * 300_000}
        disk.make(self.conf, bodies)
        self.assertEqual(list(bodies), [one["write"] for one in self.agent.writes(IN_DOUBT)])
        self.assertEqual("b25l", self.agent.write("shop/1")["body"])
        for name, data in bodies.items():
            self.assertEqual(data, b"".join(self.agent.body(name)))
        self.agent.resend("shop/1", "", "root@cache1")
        self.agent.discard("shop/2", "", "root@cache1")
        self.assertEqual([], list(self.agent.writes(IN_DOUBT)))
        self.assertEqual([], self.agent.handovers(5))

    def test_where_no_agent_has_run_it_is_a_sentence(self) -> None:
        with self.assertRaisesRegex(ComponentError, "has the agent run on this node"):
            list(self.agent.writes(IN_DOUBT))
