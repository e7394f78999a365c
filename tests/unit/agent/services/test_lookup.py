"""Where the address of a guest comes from; ``test_registry.py`` has the rounds."""

from __future__ import annotations

import tempfile
import unittest
from pathlib import Path

from nova_cachemig.agent import ports
from nova_cachemig.agent.services.addresses import AddressBook
from nova_cachemig.agent.services.lookup import GuestLookup
from nova_cachemig.model.service import Route, Service, Target

KNOWN = Route(Service("known", "u1", 80, ("192.0.2.1", 80)), Target("10.0.0.1", 80))


class Instance:
    def address(self, network: str | None) -> str:
        return "10.0.0.5"

    def floating_address(self, network: str | None) -> str:
        return "203.0.113.5"


class Nova:
    asked = 0

    async def instance(self, uuid: str) -> ports.InstanceAddresses:
        self.asked += 1
        return Instance()


class LookupTest(unittest.IsolatedAsyncioTestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.nova = Nova()
        self.lookup = GuestLookup(self.nova, AddressBook(Path(folder.name) / "addresses.json"))

    async def find(self, **fields: object) -> tuple[dict[str, Route], dict[str, str]]:
        values = {"instance": "u2", "port": 80, "listen": ("192.0.2.1", 81), **fields}
        service = Service("new", **values)  # type: ignore[arg-type]
        found, errors = await self.lookup.find({"known": KNOWN, "new": Route(service, None)})
        return found, {name: str(error) for name, error in errors.items()}

    async def test_each_way(self) -> None:
        for fields, address in (
            ({}, "10.0.0.5"),
            ({"floating": True}, "203.0.113.5"),
            ({"address": "198.51.100.7"}, "198.51.100.7"),
        ):
            with self.subTest(address):
                found, errors = await self.find(**fields)
                self.assertEqual(({}, Target(address, 80)), (errors, found["new"].target))
        self.assertEqual(2, self.nova.asked)  # not for an address in the service, nor for "known"

    async def test_an_address_of_another_guest_is_an_error(self) -> None:
        found, errors = await self.find(address="10.0.0.1")
        self.assertEqual({}, found)
        self.assertIn("as instance u1 of service known has", errors["new"])
