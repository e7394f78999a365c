"""Where the address of a guest comes from; ``test_registry.py`` has the rounds."""

from __future__ import annotations

import os
import tempfile
import unittest
from collections.abc import Collection
from pathlib import Path
from unittest import mock

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
        self.pages: list[dict[str, ports.InstanceAddresses]] = []
        self.asked_pages: list[str | None] = []

    async def instance(self, uuid: str) -> ports.InstanceAddresses:
        self.asked += 1
        if self.error is not None:
            raise self.error
        return self.known

    async def page(
        self, after: str | None
    ) -> tuple[dict[str, ports.InstanceAddresses], str | None]:
        self.asked_pages.append(after)
        if self.error is not None:
            raise self.error
        number = int(after or 0)
        more = number + 1 < len(self.pages)
        return self.pages[number] if self.pages else {}, str(number + 1) if more else None

    def keep(self, instances: Collection[str]) -> None:
        self.kept = set(instances)


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


class ManyTest(Case):
    """More instances than are asked for one by one."""

    def setUp(self) -> None:
        super().setUp()
        self.now = 0.0
        self.book = self.lookup._address_book
        self.lookup = GuestLookup(self.nova, self.book, clock=lambda: self.now)
        self.routes = {
            f"s{n}": Route(
                Service(f"s{n}", f"u{n}", 80, ("192.0.2.1", 80), hosts=(f"{n}.org",)), None
            )
            for n in range(100)
        }
        shown = {f"u{n}": Own(f"10.1.0.{n}") for n in range(90)}
        names = list(shown)
        self.nova.pages = [{n: shown[n] for n in names[k : k + 30]} for k in (0, 30, 60)]

    async def test_three_pages_instead_of_ninety_questions(self) -> None:
        self.nova.error = None
        found, errors = await self.lookup.find(self.routes)
        self.assertEqual(([None, "1", "2"], 10), (self.nova.asked_pages, self.nova.asked))
        self.assertEqual(Target("10.1.0.89", 80), found["s89"].target)
        self.assertEqual({}, {n: e for n, e in errors.items() if int(n[1:]) < 90})

    async def test_without_nova_the_address_book_is_looked_at_once_for_all(self) -> None:
        routes = self.routes.values()
        self.book.save(Route(r.service, Target(f"10.0.0.{n}", 80)) for n, r in enumerate(routes))
        self.nova.error = ports.NovaUnreachableError("Nova could not be asked")
        looks = mock.patch.object(Path, "stat", autospec=True, side_effect=os.stat)
        with looks as counted, self.assertLogs("nova_cachemig.agent.services.lookup", "WARNING"):
            found, _ = await self.lookup.find(self.routes)
        self.assertEqual(Target("10.0.0.99", 80), found["s99"].target)
        self.assertLess(counted.call_count, len(routes))

    async def test_a_nova_that_is_down_is_asked_once(self) -> None:
        self.nova.error = ports.NovaUnreachableError("down")
        route = self.routes["s7"]
        self.book.save([Route(route.service, Target("10.0.0.7", 80))])
        with self.assertLogs("nova_cachemig.agent.services.lookup", "WARNING") as logs:
            found, errors = await self.lookup.find(self.routes)
        self.assertEqual((1, 0), (len(self.nova.asked_pages), self.nova.asked))
        self.assertEqual(({"s7"}, 99, 1), (set(found), len(errors), len(logs.output)))

    async def test_a_round_ends_and_the_next_one_goes_on(self) -> None:
        self.nova.pages = []
        real = self.nova.instance

        async def slow(uuid: str) -> ports.InstanceAddresses:
            self.now += 0.2
            await real(uuid)
            return Own(f"10.0.0.{uuid[1:]}")

        self.nova.instance = slow  # type: ignore[method-assign]
        routes, rounds = dict(self.routes), 0
        while any(route.target is None for route in routes.values()):
            found, errors = await self.lookup.find(routes)
            self.assertEqual({}, errors)
            self.assertLessEqual(len(found), 26)
            self.assertEqual(
                {n for n, r in routes.items() if not r.target}, {*found, *self.lookup.unasked}
            )
            routes |= found
            rounds += 1
        self.assertEqual((4, 100), (rounds, self.nova.asked))

    async def test_many_known_guests_are_confirmed_by_pages(self) -> None:
        routes = {
            n: Route(r.service, Target(f"10.1.0.{n[1:]}", 80)) for n, r in self.routes.items()
        }
        self.nova.pages[1]["u42"] = Own("10.9.9.9", has=False)
        self.assertEqual([], await self.lookup.moved(routes, 0.0))
        moved = [await self.lookup.moved(routes, 300.0) for _ in range(3)]
        self.assertEqual([[], ["s42"], []], moved)
        self.assertEqual([None, "1", "2"], self.nova.asked_pages)


class Own(Instance):
    def __init__(self, address: str, has: bool = True) -> None:
        self.own, self.has = address, has

    def address(self, network: str | None) -> str:
        return self.own


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
        return await self.lookup.check("u1", named, named)

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
