import json
import socket
import unittest
from unittest import mock

from nova_cachemig.agent.nova import NovaApi
from nova_cachemig.agent.ports import ComponentError
from nova_cachemig.doctor import guests
from nova_cachemig.doctor.context import Context
from nova_cachemig.doctor.verdict import Status, Verdict
from tests.unit.doctor.files import Case

INSTANCE = "6f70656e-7374-4163-8b21-00000000d7a1"
OTHER = "6f70656e-7374-4163-8b21-00000000d7a2"


class GuestsTest(Case):
    def found(self) -> list[Verdict]:
        return self.run_check(guests, "guests.reachable", Context(self.agent(), None))

    def define(self, port: int) -> None:
        (self.here / "services.d").mkdir()
        service = {"name": "shop", "instance": INSTANCE, "port": port, "listen": "10.0.0.1:80"}
        self.write("services.d/shop.yaml", json.dumps({"services": [service]}))

    def address(self, address: str) -> None:
        (self.here / "state").mkdir()
        book = {"shop": {"instance": INSTANCE, "address": address}}
        self.write("state/addresses.json", json.dumps(book))

    def test_without_a_service(self) -> None:
        (self.here / "services.d").mkdir()
        self.assertEqual([Status.SKIPPED], [v.status for v in self.found()])

    def test_a_guest_that_listens_and_one_that_refuses(self) -> None:
        with socket.socket() as guest:
            guest.bind(("127.0.0.1", 0))
            guest.listen()
            self.define(guest.getsockname()[1])
            self.address("127.0.0.1")
            [verdict] = self.found()
            self.assertEqual("1 of 1 guests are reachable from this node", verdict.what)
        [verdict] = self.found()
        self.assertEqual(Status.WARNING, verdict.status)
        self.assertIn("refuses", verdict.what)

    def test_nova_is_asked_for_an_unknown_address(self) -> None:
        self.define(80)
        error = ComponentError("Nova knows no instance")
        with mock.patch.object(NovaApi, "instance", side_effect=error):
            [verdict] = self.found()
        self.assertEqual(Status.FAILED, verdict.status)
        self.assertIn("Nova knows no instance", verdict.what)

    def test_two_guests_at_one_address(self) -> None:
        (self.here / "services.d").mkdir()
        both = [
            {"name": name, "instance": instance, "port": 80, "listen": f"10.0.0.{n}:80"}
            for n, (name, instance) in enumerate((("shop", INSTANCE), ("till", OTHER)), 1)
        ]
        self.write("services.d/two.yaml", json.dumps({"services": both}))
        nova = mock.AsyncMock()
        nova.return_value.address = lambda network: "127.0.0.1"
        with mock.patch.object(NovaApi, "instance", nova):
            found = self.found()
        self.assertEqual([Status.FAILED] * 2, [verdict.status for verdict in found])
        self.assertIn(f"as instance {OTHER} of service till has", found[0].what)


if __name__ == "__main__":
    unittest.main()
