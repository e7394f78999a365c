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
    has = True

    def may_have(self, address: str) -> bool:
        return self.has

    def address(self, network: str | None) -> str:
        return "10.0.0.5"

    def floating_address(self, network: str | None) -> str:
        return "203.0.113.5"


class Nova:
    def __init__(self) -> None:
        self.asked = 0
        self.error: ports.ComponentError | None = None
        self.known = Instance()

    async def instance(self, uuid: str) -> ports.InstanceAddresses:
        self.asked += 1
        if self.error is not None:
            raise self.error
        return self.known


class Case(unittest.IsolatedAsyncioTestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.nova = Nova()
        self.lookup = GuestLookup(self.nova, AddressBook(Path(folder.name) / "addresses.json"))


class LookupTest(Case):
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


class MovedTest(Case):
    """A known guest is asked for again after 300 s."""

    async def moved(self, at: float, *routes: Route) -> list[str]:
        named = {route.service.name: route for route in routes or (KNOWN,)}
        return await self.lookup.moved(named, at)

    async def test_once_in_an_interval(self) -> None:
        for at, asked in ((0.0, 0), (299.0, 0), (300.0, 1), (301.0, 1), (600.0, 2)):
            self.assertEqual([], await self.moved(at))
            self.assertEqual(asked, self.nova.asked)

    async def test_a_guest_without_its_address_has_moved(self) -> None:
        await self.moved(0.0)
        self.nova.known.has = False
        with self.assertLogs("nova_cachemig.agent.services.lookup", "WARNING") as logs:
            self.assertEqual(["known"], await self.moved(300.0))
        self.assertIn("instance u1 no longer has the address 10.0.0.1", logs.output[0])

    async def test_an_address_in_the_service_is_not_asked_for(self) -> None:
        given = Route(Service("a", "u1", 80, ("192.0.2.1", 80), address="10.0.0.1"), KNOWN.target)
        for at in (0.0, 300.0):
            self.assertEqual([], await self.moved(at, given, Route(given.service, None)))
        self.assertEqual(0, self.nova.asked)

    async def test_without_a_response_the_address_stays(self) -> None:
        many = [
            Route(Service(name, name, 80, ("192.0.2.1", 80)), KNOWN.target) for name in "abcdefgh"
        ]
        await self.moved(0.0, *many)
        self.nova.error = ports.NovaUnreachableError("Nova could not be asked")
        self.assertEqual([], await self.moved(300.0, *many))
        self.assertEqual([], await self.moved(301.0, *many))
        self.assertEqual(1, self.nova.asked)
        self.nova.error = ports.ComponentError("Nova knows no instance a")
        self.assertEqual([], await self.moved(600.0, *many))
        self.assertEqual(1 + 5, self.nova.asked)  # a few in a round
        self.assertEqual([], await self.moved(601.0, *many))
        self.assertEqual(1 + len(many), self.nova.asked)
