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
    mac = "fa:16:3e:00:00:01"

    def mac_of(self, address: str) -> str:
        return self.mac

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

    async def test_a_guest_on_another_port_has_moved(self) -> None:
        known = Route(KNOWN.service, KNOWN.target, "fa:16:3e:00:00:02")
        await self.moved(0.0, known)
        with self.assertLogs("nova_cachemig.agent.services.lookup", "WARNING"):
            self.assertEqual(["known"], await self.moved(300.0, known))

    async def test_a_deleted_instance_has_lost_its_address(self) -> None:
        await self.moved(0.0)
        self.nova.error = ports.GoneError("instance u1 is DELETED in Nova")
        with self.assertLogs("nova_cachemig.agent.services.lookup", "WARNING") as logs:
            self.assertEqual(["known"], await self.moved(300.0))
        self.assertIn("nothing is sent to its guest: instance u1 is DELETED", logs.output[0])

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


class CheckTest(Case):
    """One instance, now."""

    given = Route(
        Service("given", "u1", 81, ("192.0.2.1", 81), address="198.51.100.7"),
        Target("198.51.100.7", 81),
    )

    async def check(self, *routes: Route) -> dict[str, Route]:
        named = {route.service.name: route for route in routes or (KNOWN,)}
        return await self.lookup.check("u1", named)

    async def test_an_address_that_is_confirmed_stays_and_its_port_is_noted(self) -> None:
        noted = Route(KNOWN.service, KNOWN.target, Instance.mac)
        self.assertEqual({"known": noted}, await self.check())
        self.assertEqual({}, await self.check(noted))

    async def test_an_unknown_guest_is_found(self) -> None:
        found = await self.check(Route(KNOWN.service, None))
        self.assertEqual(Target("10.0.0.5", 80), found["known"].target)

    async def test_a_guest_that_has_moved_is_found_elsewhere(self) -> None:
        self.nova.known.has = False
        with self.assertLogs("nova_cachemig.agent.services.lookup", "WARNING"):
            found = await self.check()
        self.assertEqual(Target("10.0.0.5", 80), found["known"].target)

    async def test_the_address_of_another_guest_is_not_taken(self) -> None:
        other = Route(Service("other", "u2", 80, ("192.0.2.1", 82)), Target("10.0.0.5", 80))
        found = await self.check(Route(KNOWN.service, None), other)
        self.assertIsNone(found["known"].target)

    async def test_a_deleted_instance_loses_also_a_given_address(self) -> None:
        self.nova.error = ports.GoneError("instance u1 is DELETED in Nova")
        with self.assertLogs("nova_cachemig.agent.services.lookup", "WARNING"):
            lost = await self.check(KNOWN, self.given)
        self.assertEqual([None, None], [route.target for route in lost.values()])
        none = {"given": Route(self.given.service, None)}
        self.assertEqual({}, (await self.lookup.find(none))[0])
        self.nova.error = None  # restored
        self.assertEqual({"given"}, set((await self.lookup.find(none))[0]))

    async def test_a_doubt_survives_a_restart(self) -> None:
        self.lookup.doubt(["given"])
        self.lookup.save([Route(self.given.service, None), Route(KNOWN.service, None)])
        again = GuestLookup(self.nova, self.lookup._address_book)
        none = {"given": Route(self.given.service, None)}
        self.assertEqual({}, again.recall(none))
        self.nova.error = ports.NovaUnreachableError("Nova could not be asked")
        self.assertEqual({}, (await again.find(none))[0])

    async def test_without_a_response_nothing_is_known(self) -> None:
        self.nova.error = ports.NovaUnreachableError("Nova could not be asked")
        with self.assertRaises(ports.NovaUnreachableError):
            await self.check()

    async def test_an_instance_that_is_not_shown_loses_what_nova_had_said(self) -> None:
        self.nova.error = ports.ComponentError("Nova knows no instance u1")
        with self.assertLogs("nova_cachemig.agent.services.lookup", "WARNING"):
            lost = await self.check(KNOWN, self.given)
        self.assertEqual({"known": Route(KNOWN.service, None)}, lost)
