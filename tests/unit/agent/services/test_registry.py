"""The active services: the last valid set stays, and Nova has the guests' addresses."""

import asyncio
import pathlib
import tempfile
import unittest
from unittest import mock

from nova_cachemig.agent.ports import ComponentError, GoneError, NovaUnreachableError
from nova_cachemig.agent.services import files
from nova_cachemig.agent.services.addresses import AddressBook
from nova_cachemig.agent.services.registry import ServiceRegistry
from nova_cachemig.model.change import InstanceChange
from nova_cachemig.model.reach import Attempt, Reach
from nova_cachemig.model.service import Limits, Route, Target
from tests.unit.agent.services.test_files import service
from tests.unit.agent.services.test_schema import UUID

OTHER = "0b8c2f16-9d0e-4d2e-8a65-3f4f1d9c7a21"


class FakeNova:
    def __init__(self):
        self.known = {UUID: "10.0.0.5"}
        self.mac = "fa:16:3e:00:00:01"
        self.gone = set()

    async def instance(self, uuid):
        if self.known is None:
            raise NovaUnreachableError("Nova could not be asked")
        if uuid in self.gone:
            raise GoneError(f"Nova has instance {uuid} no more")
        if uuid not in self.known:
            raise ComponentError(f"Nova knows no instance {uuid}")
        return self

    async def page(self, after):
        return {}, None

    def keep(self, instances):
        self.kept = set(instances)

    def address(self, network):
        if network == "wrong":
            raise ComponentError("no address on network 'wrong'")
        return self.known[UUID]

    def floating_address(self, network):
        return "203.0.113.5"

    def may_have(self, address):
        return address in self.known.values()

    def mac_of(self, address):
        return self.mac


class RegistryTest(unittest.IsolatedAsyncioTestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.directory = pathlib.Path(folder.name)
        self.applied = []
        self.refused = {}
        self.nova = FakeNova()
        self.book = AddressBook(self.directory / "addresses.json")
        self.registry = ServiceRegistry(self.directory, self.nova, self.apply, self.book)

    async def apply(self, routes):
        self.applied.append(routes)
        return self.refused

    async def test_a_service_and_its_guest(self):
        files.add(self.directory, service())
        self.assertEqual([], await self.registry.refresh())
        self.assertEqual(Target("10.0.0.5", 80), self.applied[-1][0].target)
        self.assertEqual(1, len(self.registry.routes_for(UUID)))

    async def test_an_agent_that_starts_parses_only_what_has_changed(self):
        copy = self.directory / "services.json"
        for number in range(files._UNSAVED + 1):
            files.add(self.directory, service(name=f"s{number}", hosts=[f"s{number}.example"]))
        for parsed in (files._UNSAVED + 1, 0):
            registry = ServiceRegistry(
                self.directory, self.nova, self.apply, self.book, parsed=copy
            )
            await registry.refresh()
            self.assertEqual(files._UNSAVED + 1, len(registry.routes()))
            self.assertEqual(parsed, registry._files.parsed)

    async def test_without_a_change_the_routes_are_not_applied_again(self):
        files.add(self.directory, service())
        await self.registry.refresh()
        await self.registry.refresh()
        self.assertEqual(1, len(self.applied))

    async def test_a_change_is_in_force_before_nova_is_asked(self):
        files.add(self.directory, service(hosts=["shop.example"]))
        files.add(self.directory, service(name="b", hosts=["b.example"]))
        await self.registry.refresh()
        asked = asyncio.Event()

        async def wait(uuid):
            asked.set()
            await asyncio.Event().wait()

        files.remove(self.directory, "b")
        files.add(self.directory, service(name="new", hosts=["new.example"], instance=OTHER))
        with mock.patch.object(self.nova, "instance", wait):
            refresh = asyncio.create_task(self.registry.refresh())
            async with asyncio.timeout(5):
                await asked.wait()
            self.assertEqual(["new", "shop"], [r.service.name for r in self.applied[-1]])
            self.assertEqual(Target("10.0.0.5", 80), self.applied[-1][1].target)
            refresh.cancel()

    async def test_a_served_guest_keeps_its_address_until_nova_names_another(self):
        files.add(self.directory, service())
        await self.registry.refresh()
        self.nova.known[OTHER] = "10.0.0.5"
        files.remove(self.directory, "shop")
        files.add(self.directory, service(instance=OTHER))
        await self.registry.refresh()
        self.assertEqual([UUID, OTHER], [one[0].service.instance for one in self.applied])
        self.assertTrue(all(one[0].target for one in self.applied))

    async def test_a_guest_that_nova_has_denied_is_not_recalled_by_a_change(self):
        files.add(self.directory, service())
        self.book.save([Route(service(), Target("10.0.0.66", 80))])
        await self.registry.load()
        self.nova.known = {}
        await self.registry.refresh()
        self.assertIsNone(self.applied[-1][0].target)
        files.remove(self.directory, "shop")
        files.add(self.directory, service(port=81))
        before = len(self.applied)
        await self.registry.refresh()
        self.assertTrue(all(one[0].target is None for one in self.applied[before:]))

    async def test_another_port_of_a_guest_is_served_at_its_address_at_once(self):
        files.add(self.directory, service())
        await self.registry.refresh()
        files.remove(self.directory, "shop")
        files.add(self.directory, service(port=81))
        self.nova.known = None
        await self.registry.refresh()
        self.assertEqual(
            [Target("10.0.0.5", 80), Target("10.0.0.5", 81)],
            [one[0].target for one in self.applied],
        )

    async def test_a_port_that_nova_adds_changes_nothing_at_the_edge(self):
        files.add(self.directory, service())
        self.nova.mac = ""
        await self.registry.refresh()
        self.nova.mac = "fa:16:3e:00:00:01"
        await self.registry.confirm(UUID)
        self.assertEqual(self.nova.mac, self.registry.route("shop").mac)
        self.assertEqual(1, len(self.applied))

    async def test_a_question_for_one_instance_does_not_look_at_all_services(self):
        for number in range(50):
            files.add(self.directory, service(name=f"s{number}", hosts=[f"s{number}.example"]))
        files.add(self.directory, service(name="other", hosts=["o.example"], instance=OTHER))
        await self.registry.refresh()
        looked = []

        class Routes(dict):
            def values(self):
                looked.append(1)
                return super().values()

        self.registry._routes = Routes(self.registry._routes)
        self.assertEqual((), self.registry.routes_for("unknown"))
        self.assertEqual(50, len(self.registry.routes_for(UUID)))
        self.assertEqual([], looked)

    async def test_an_invalid_file_is_reported_and_the_services_stay(self):
        files.add(self.directory, service())
        await self.registry.refresh()
        (self.directory / "b.yaml").write_text("services: [")
        errors = await self.registry.refresh()
        self.assertIn("not YAML", errors[0])
        self.assertEqual(1, len(self.registry.routes()))
        (self.directory / "b.yaml").unlink()
        self.assertEqual([], await self.registry.refresh())

    async def test_an_agent_that_starts_serves_the_files_that_are_valid(self):
        files.add(self.directory, service())
        (self.directory / "broken.yaml").write_text("services: [")
        with self.assertLogs("nova_cachemig.agent.services.registry", "ERROR") as logs:
            errors = await self.registry.refresh()
        self.assertEqual(1, len(errors))
        self.assertIn("the other files are used", logs.output[0])
        self.assertEqual(["shop"], [route.service.name for route in self.applied[-1]])
        (self.directory / "broken.yaml").unlink()
        self.assertEqual([], await self.registry.refresh())

    async def test_an_agent_that_starts_serves_no_services_that_contradict_each_other(self):
        files.add(self.directory, service())
        text = next(self.directory.glob("*.yaml")).read_text()
        (self.directory / "copy.yaml").write_text(text)
        with self.assertLogs("nova_cachemig.agent.services.registry", "ERROR"):
            errors = await self.registry.refresh()
        self.assertIn("is taken", errors[0])
        self.assertEqual((), self.registry.routes())

    async def test_a_missing_directory_has_no_services_until_it_is_created(self):
        directory = self.directory / "services.d"
        registry = ServiceRegistry(directory, self.nova, self.apply, self.book)
        with self.assertLogs("nova_cachemig.agent.services.registry", "WARNING") as logs:
            for _ in range(2):
                self.assertEqual([], await registry.refresh())
        self.assertEqual(1, len(logs.output))
        self.assertIn(f"{directory} does not exist", logs.output[0])
        files.add(directory, service())
        await registry.refresh()
        self.assertEqual(1, len(registry.routes()))

    async def test_the_services_stay_when_their_directory_disappears(self):
        directory = self.directory / "services.d"
        registry = ServiceRegistry(directory, self.nova, self.apply, self.book)
        files.add(directory, service())
        await registry.refresh()
        directory.rename(self.directory / "elsewhere")
        for _ in range(2):
            self.assertEqual([f"{directory} no longer exists"], await registry.refresh())
        self.assertEqual(1, len(registry.routes()))

    async def test_an_unknown_instance_is_reported_and_found_later(self):
        known, self.nova.known = self.nova.known, {}
        files.add(self.directory, service())
        self.assertIn("knows no instance", (await self.registry.refresh())[0])
        self.assertEqual((), self.registry.routes_for(UUID))
        self.nova.known = known
        self.assertEqual([], await self.registry.refresh())
        self.assertEqual(1, len(self.registry.routes_for(UUID)))

    async def test_a_wrong_network_is_reported(self):
        files.add(self.directory, service(network="wrong"))
        self.assertIn("wrong", (await self.registry.refresh())[0])

    async def test_a_service_says_where_its_guest_is(self):
        self.nova.known = None
        files.add(self.directory, service(address="198.51.100.7"))
        self.assertEqual([], await self.registry.refresh())
        (shown,) = self.registry.describe(lambda name: "pass")
        self.assertEqual(
            ("198.51.100.7", "service file"), (shown["address"], shown["address_from"])
        )

    async def test_a_service_says_its_limits(self):
        files.add(self.directory, service(limits={"rate": 7, "held": 0}))
        defaults = Limits(10, 20, 30, 40)
        registry = ServiceRegistry(
            self.directory, self.nova, self.apply, self.book, limits=defaults
        )
        self.assertEqual([], await registry.refresh())
        (shown,) = registry.describe(lambda name: "pass")
        self.assertEqual({"connections": 10, "requests": 20, "held": 0, "rate": 7}, shown["limits"])

    async def test_a_change_of_the_way_is_a_new_look_up(self):
        path = files.add(self.directory, service())
        await self.registry.refresh()
        path.unlink()
        files.add(self.directory, service(floating=True))
        self.assertEqual([], await self.registry.refresh())
        self.assertEqual(Target("203.0.113.5", 80), self.applied[-1][0].target)
        (shown,) = self.registry.describe(lambda name: "pass")
        self.assertEqual("floating", shown["address_from"])

    async def test_a_second_instance_at_the_address_is_refused_and_the_first_stays(self):
        files.add(self.directory, service())
        await self.registry.refresh()
        self.nova.known[OTHER] = "10.0.0.5"
        files.add(self.directory, service(name="b", instance=OTHER, listen="10.9.0.2:80"))
        [error] = await self.registry.refresh()
        self.assertIn("as instance " + UUID + " of service shop has", error)
        self.assertIn("set 'floating: true' or 'address: ADDRESS'", error)
        self.assertEqual(1, len(self.registry.routes_for(UUID)))
        self.assertEqual((), self.registry.routes_for(OTHER))
        again = ServiceRegistry(self.directory, self.nova, self.apply, self.book)
        self.assertEqual([error], await again.refresh())
        self.assertEqual(1, len(again.routes_for(UUID)))

    async def test_an_address_that_is_no_longer_the_guests_is_not_used(self):
        registry = ServiceRegistry(self.directory, self.nova, self.apply, self.book, 0.0)
        files.add(self.directory, service())
        await registry.refresh()
        self.nova.known = {UUID: "10.0.0.6"}
        self.assertEqual([], await registry.refresh())
        self.assertEqual(Target("10.0.0.6", 80), self.applied[-1][0].target)
        with mock.patch.object(self.nova, "address", side_effect=ComponentError("no address")):
            self.nova.known = {UUID: "10.0.0.7"}
            self.assertEqual(["no address"], await registry.refresh())
        self.assertIsNone(self.applied[-1][0].target)
        self.assertIsNone(self.book.find(service()))

    async def test_a_guest_that_was_never_reached_is_not_protected(self):
        files.add(self.directory, service())
        await self.registry.refresh()
        self.assertEqual((), self.registry.protected_routes(UUID))
        self.assertEqual("service shop: not tried yet", self.registry.why_unprotected(UUID))
        self.assertEqual([], self.registry.unreachable())
        (route,) = self.registry.routes()
        self.registry.reach.record(route, Attempt(Reach.SILENT, "192.0.2.9"))
        self.assertIn("--remote-ip 192.0.2.9", self.registry.why_unprotected(UUID))
        self.assertEqual(["shop"], self.registry.unreachable())
        (shown,) = self.registry.describe(lambda name: "idle")
        self.assertEqual("no", shown["reached"])
        self.assertIn("never reached the guest at 10.0.0.5:80", shown["error"])
        self.assertEqual([], await self.registry.refresh())  # the service itself has no error
        self.registry.reach.record(route, Attempt(Reach.REACHABLE, "192.0.2.9"))
        self.assertEqual(((route,), ""), (
            self.registry.protected_routes(UUID), self.registry.why_unprotected(UUID)
        ))  # fmt: skip
        (shown,) = self.registry.describe(lambda name: "idle")
        self.assertEqual(("yes", None), (shown["reached"], shown["error"]))

    async def test_a_removed_service_is_no_longer_applied(self):
        files.add(self.directory, service())
        await self.registry.refresh()
        files.remove(self.directory, "shop")
        await self.registry.refresh()
        self.assertEqual((), self.applied[-1])

    async def test_while_nova_is_unreachable_the_last_address_is_used(self):
        files.add(self.directory, service())
        await self.registry.refresh()
        self.nova.known = None
        again = ServiceRegistry(self.directory, self.nova, self.apply, self.book)
        self.assertEqual([], await again.refresh())
        self.assertEqual(Target("10.0.0.5", 80), again.routes()[0].target)

    async def test_a_start_needs_no_nova_and_asks_it_later(self):
        files.add(self.directory, service())
        await self.registry.refresh()
        self.nova.known[UUID] = "10.0.0.6"
        again = ServiceRegistry(self.directory, None, self.apply, self.book)
        await again.load()
        self.assertEqual(Target("10.0.0.5", 80), self.applied[-1][0].target)
        again._lookup._nova = self.nova
        self.assertEqual([], await again.refresh())
        self.assertEqual(Target("10.0.0.6", 80), self.applied[-1][0].target)
        applied = len(self.applied)
        await again.refresh()
        self.assertEqual(applied, len(self.applied))

    async def test_a_recalled_address_is_dropped_if_nova_knows_no_such_guest(self):
        files.add(self.directory, service())
        await self.registry.refresh()
        again = ServiceRegistry(self.directory, self.nova, self.apply, self.book)
        self.nova.known = {}
        await again.load()
        self.assertEqual(1, len(again.routes_for(UUID)))
        self.assertEqual(1, len(await again.refresh()))
        self.assertEqual((), again.routes_for(UUID))
        self.assertIsNone(self.applied[-1][0].target)

    async def test_a_nova_that_does_not_respond_is_asked_once_in_a_round(self):
        names = ("a", "b", "c")
        for number, name in enumerate(names):
            files.add(self.directory, service(name=name, listen=f"10.9.0.{number + 1}:80"))
        with mock.patch.object(
            self.nova, "instance", side_effect=NovaUnreachableError("Nova could not be asked")
        ) as ask:
            for asked in range(1, 4):
                errors = await self.registry.refresh()
                self.assertEqual((asked, len(names)), (ask.call_count, len(errors)))

    async def test_one_instance_without_a_response_does_not_block_the_others(self):
        files.add(self.directory, service(name="a", instance=OTHER, listen="10.9.0.1:80"))
        files.add(self.directory, service(name="b", listen="10.9.0.2:80"))
        real = self.nova.instance

        async def instance(uuid):
            if uuid == OTHER:
                raise NovaUnreachableError("Nova could not be asked")
            return await real(uuid)

        with mock.patch.object(self.nova, "instance", instance):
            self.assertEqual(2, len(await self.registry.refresh()))
            self.assertEqual(1, len(await self.registry.refresh()))
        self.assertEqual(1, len(self.registry.routes_for(UUID)))

    async def test_a_damaged_address_book_counts_as_empty(self):
        files.add(self.directory, service())
        (self.directory / "addresses.json").write_text("{")
        self.nova.known = None
        self.assertIn("could not be asked", (await self.registry.refresh())[0])

    async def test_a_failed_apply_is_reported_and_repeated(self):
        files.add(self.directory, service())
        refuse = [ComponentError("the port is taken")]

        async def apply(routes):
            if refuse:
                raise refuse[0]
            self.applied.append(routes)
            return {}

        registry = ServiceRegistry(self.directory, self.nova, apply, self.book)
        self.assertEqual(["the port is taken"], await registry.refresh())
        refuse.clear()
        self.assertEqual([], await registry.refresh())
        self.assertEqual(1, len(self.applied))

    async def test_a_refused_service_is_reported_alone_and_tried_again(self):
        files.add(self.directory, service())
        self.refused = {"shop": "service shop: cannot listen on 192.0.2.1:80"}
        for _ in range(2):
            self.assertEqual(list(self.refused.values()), await self.registry.refresh())
        self.assertEqual(2, len(self.applied))
        (shown,) = self.registry.describe(lambda name: "idle")
        self.assertEqual(self.refused["shop"], shown["error"])
        self.refused = {}
        self.assertEqual([], await self.registry.refresh())
        self.assertEqual([], await self.registry.refresh())
        self.assertEqual(3, len(self.applied))


class Watcher:
    """Records what it learns, and the routes that are served at that time."""

    def __init__(self, applied):
        self.log, self._applied = [], applied

    def targets_lost(self, routes):
        self._note("lost", routes)

    async def prepare(self, routes):
        self._note("prepare", routes)

    def targets_found(self, routes):
        self._note("found", routes)

    def _note(self, what, routes):
        served = self._applied[-1][0].target if self._applied else None
        self.log.append((what, [r.target.address for r in routes], served and served.address))


class NoticeTest(unittest.IsolatedAsyncioTestCase):
    """Nova's notices: an address is used until one of them contradicts, and then not."""

    async def asyncSetUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.directory = pathlib.Path(folder.name)
        self.nova = FakeNova()
        self.applied = []
        self.registry = self.new_registry()

    def new_registry(self):
        book = AddressBook(self.directory / "addresses.json")
        registry = ServiceRegistry(self.directory, self.nova, self.apply, book)
        registry.watcher = self.watcher = Watcher(self.applied)
        return registry

    async def apply(self, routes):
        self.applied.append(routes)
        return {}

    async def served(self, **fields):
        files.add(self.directory, service(**fields))
        await self.registry.refresh()
        self.watcher.log.clear()

    async def notice(self, change=InstanceChange.DETACHED):
        await self.registry.instance_changed(UUID, change)
        await self.registry.confirm(UUID)

    def target(self, registry=None):
        (route,) = (registry or self.registry).routes()
        return route.target and route.target.address

    async def test_the_address_is_unknown_until_nova_confirms_it(self):
        await self.served()
        await self.notice()
        self.assertEqual([None, "10.0.0.5"], self.addresses(-2))
        self.assertEqual(
            [
                ("lost", ["10.0.0.5"], "10.0.0.5"),
                ("prepare", ["10.0.0.5"], None),
                ("found", ["10.0.0.5"], "10.0.0.5"),
            ],
            self.watcher.log,
        )
        (shown,) = self.registry.describe(lambda name: "idle")
        self.assertIsNone(shown["error"])

    def addresses(self, start):
        return [r[0].target and r[0].target.address for r in self.applied[start:]]

    async def test_while_nova_is_away_nothing_is_sent_also_after_a_restart(self):
        await self.served()
        known, self.nova.known = self.nova.known, None
        await self.notice()
        self.assertIsNone(self.target())
        (shown,) = self.registry.describe(lambda name: "idle")
        self.assertIn("nothing is sent to the guest until Nova confirms", shown["error"])
        await self.registry.refresh()
        self.assertIsNone(self.target())
        again = self.new_registry()
        await again.load()
        await again.refresh()
        self.assertIsNone(self.target(again))
        self.nova.known = known
        await again.refresh()
        self.assertEqual("10.0.0.5", self.target(again))

    async def test_a_deleted_instance_is_not_found_again(self):
        await self.served()
        self.nova.gone = {UUID}
        await self.notice(InstanceChange.DELETED)
        await self.registry.refresh()
        self.assertIsNone(self.target())

    async def test_a_deletion_concerns_a_given_address_too(self):
        await self.served(address="198.51.100.7")
        await self.notice()
        self.assertEqual("198.51.100.7", self.target())
        self.nova.gone = {UUID}
        await self.notice(InstanceChange.DELETED)
        await self.registry.refresh()
        self.assertIsNone(self.target())
        again = self.new_registry()
        await again.load()
        self.assertIsNone(self.target(again))

    async def test_a_change_that_takes_nothing_away_leaves_no_gap(self):
        await self.served()
        applied = len(self.applied)
        await self.notice(InstanceChange.CHANGED)
        self.assertEqual((applied, []), (len(self.applied), self.watcher.log))
        self.nova.known[UUID] = "10.0.0.6"
        await self.notice(InstanceChange.CHANGED)
        self.assertEqual("10.0.0.6", self.target())
        what = [(entry, addresses) for entry, addresses, _ in self.watcher.log]
        self.assertEqual(
            [("lost", ["10.0.0.5"]), ("prepare", ["10.0.0.6"]), ("found", ["10.0.0.6"])], what
        )

    async def test_a_port_that_was_replaced_has_not_been_reached(self):
        await self.served()
        (route,) = self.registry.routes()
        self.registry.reach.record(route, Attempt(Reach.REACHABLE, "192.0.2.9"))
        await self.notice(InstanceChange.CHANGED)
        self.assertTrue(self.registry.reach.reached(route))
        self.nova.mac = "fa:16:3e:00:00:02"
        await self.notice(InstanceChange.CHANGED)
        self.assertFalse(self.registry.reach.reached(route))
        self.assertEqual(["lost", "prepare", "found"], [what for what, *_ in self.watcher.log])

    async def test_an_answer_that_is_older_than_a_notice_does_not_count(self):
        for ask in ("confirm", "refresh"):
            with self.subTest(ask):
                await self.asyncSetUp()
                await self.served()
                await self._notice_while_asked(ask)
                self.assertIsNone(self.target())
                self.nova.known = {UUID: "10.0.0.5"}
                await self.registry.refresh()
                self.assertEqual("10.0.0.5", self.target())

    async def _notice_while_asked(self, ask):
        asked, answer = asyncio.Event(), asyncio.Event()

        async def slow(uuid):
            asked.set()
            await answer.wait()
            return self.nova

        with mock.patch.object(self.nova, "instance", slow):
            if ask == "confirm":
                task = self.registry.confirm(UUID)
            else:
                self.registry._forget(["shop"])
                task = asyncio.create_task(self.registry.refresh())
            await asked.wait()
        known, self.nova.known = self.nova.known, None
        await self.registry.instance_changed(UUID, InstanceChange.DETACHED)
        self.assertIsNone(self.target())
        if ask == "refresh":
            await self.registry.confirm(UUID)
            self.nova.known = known
        answer.set()
        await task

    async def test_an_instance_without_a_service_costs_nothing(self):
        await self.served()
        await self.registry.instance_changed(OTHER, InstanceChange.DELETED)
        self.assertEqual({}, self.registry._notices)

    async def test_a_removed_service_leaves_nothing(self):
        await self.served()
        await self.notice()
        files.remove(self.directory, "shop")
        self.watcher.log.clear()
        await self.registry.refresh()
        self.assertEqual(({}, []), (self.registry._notices, self.watcher.log))
