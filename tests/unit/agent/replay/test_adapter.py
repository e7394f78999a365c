"""The adapter: the machine's actions on a real journal. The connections are a test's."""

from __future__ import annotations

import asyncio
import tempfile
import unittest
from collections.abc import Callable
from typing import Any, cast
from unittest import mock

from nova_cachemig.agent.journal.errors import AcceptanceUnknown, NotAccepted
from nova_cachemig.agent.journal.store import Journal
from nova_cachemig.agent.ports import ComponentError
from nova_cachemig.agent.replay.adapter import ServiceReplay
from nova_cachemig.agent.replay.entries import Request, entry_of
from nova_cachemig.agent.replay.reports import End
from nova_cachemig.model.service import Target
from nova_cachemig.model.write import AcceptedWrite, Body, GuestResponse, WriteState
from nova_cachemig.replay.actions import Told
from nova_cachemig.replay.state import Phase
from tests.functional.replay.path import conf_for, service

HERE = Target("192.0.2.1", 80)


class Reads:
    """Holds reads immediately, and remembers for whom."""

    def __init__(self) -> None:
        self.held: set[object] = set()

    def hold(
        self, name: object, _url: str, _client: str, then: Callable[[], None], _also: object
    ) -> None:
        self.held.add(name)
        then()

    def rename(self, name: object, position: int) -> None:
        self.held.discard(name)
        self.held.add(position)

    def release(
        self,
        position: object,
        _write: AcceptedWrite | None,
        _response: GuestResponse | None,
        then: Callable[[], None],
    ) -> None:
        self.held.discard(position)
        then()

    def keep_only(self, wanted: Callable[[object], bool]) -> None:
        self.held = set(filter(wanted, self.held))


class ServiceReplayTest(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self) -> None:
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.conf = conf_for(directory.name)
        self.journal = Journal(self.conf)
        await self.journal.open()
        self.addAsyncCleanup(self.journal.close)
        await self.make()

    async def make(self) -> None:
        self.reads = Reads()
        state = await self.journal.queue_state("shop")
        self.replay = ServiceReplay(
            self.journal, service(), state, self.conf, self.reads, send_window=16
        )
        self.links = mock.Mock()
        self.replay.guest.links = cast(Any, self.links)
        self.replay.machine.state.kept_idle = 60.0  # the guest was seen to keep connections open
        self.replay.hold()

    def submit(self, method: str = "PUT", url: str = "/", client: str = "me") -> Request:
        request = self.replay.arrive()
        write = AcceptedWrite("shop", 0, 1.0, method, url, "h", (), Body.of(b"x"), client)
        entry = entry_of(write, service())

        def at(position: int, late: bool) -> AcceptedWrite:
            return AcceptedWrite(
                "shop", position, 1.0, method, url, "h", (), Body.of(b"x"), client, late=late
            )

        entry.write = at
        self.replay.submit(request, entry)
        return request

    async def send(self, number: int = 1) -> None:
        """The guest is reachable, and there is a connection: the first, or another one."""
        self.replay.send_to(HERE)
        await self.until(lambda: self.links.connect.call_count == number)
        self.replay.guest.on_connected(number, HERE)

    async def until(self, check: Callable[[], bool]) -> None:
        async with asyncio.timeout(5):
            await self.replay.wait_until(check)

    def sent(self) -> list[int]:
        return [call.args[1].position for call in self.links.send.call_args_list]

    def respond(self, status: int = 200) -> None:
        response = GuestResponse(status)
        self.replay.guest.on_response(1, response, keep_alive=True, idle_timeout=None)

    async def told(self, request: Request) -> Told:
        async with asyncio.timeout(5):
            return (await request.told).told

    async def test_from_the_request_to_the_response(self) -> None:
        request = self.submit()
        await request.accepted
        self.assertEqual({1}, self.reads.held)
        await self.send()
        await self.until(lambda: self.replay.in_flight == 1)
        self.respond()
        self.assertIs(Told.RESPONSE, await self.told(request))
        self.assertEqual((set(), [1], {}), (self.reads.held, self.sent(),
                                            await self.journal.unfinished()))  # fmt: skip
        counts = self.replay.counts()
        self.assertEqual((1, 0, 0, 1), (counts.accepted, counts.waiting, counts.in_flight,
                                        counts.responded))  # fmt: skip
        totals = self.journal.totals
        self.assertEqual((1, 1, 0), (totals.accepted, totals.responded, totals.in_doubt))
        self.assertEqual(1, sum(totals.waits.copy().counts))

    async def test_the_guest_has_the_next_write_before_the_response_is_recorded(self) -> None:
        for url in ("/a", "/b"):
            await self.submit("POST", url).accepted
        await self.send()
        await self.until(lambda: len(self.sent()) == 1)
        order = mock.Mock()
        order.attach_mock(self.links, "links")
        with mock.patch.object(self.journal, "record_response") as record:
            order.attach_mock(record, "record")
            self.respond()
        names = [call[0] for call in order.mock_calls]
        self.assertEqual(["links.send", "links.flush", "record"], names[:3], names)

    async def test_what_waits_is_found_by_the_next_agent(self) -> None:
        for url in ("/a", "/b"):
            await self.submit(url=url).accepted
        await self.make()
        self.assertEqual(2, self.replay.waiting)
        await self.send()
        for number in (1, 2):
            await self.until(lambda number=number: len(self.sent()) == number)  # type: ignore
            self.respond()
        await self.replay.drained()
        self.assertEqual([1, 2], self.sent())

    async def test_a_connection_that_ends(self) -> None:
        """Of those in flight, the guest may have the first one only."""
        first, second = self.submit("PUT", "/a"), self.submit("PUT", "/b")
        await self.send()
        await self.until(lambda: self.replay.in_flight == 1)
        self.respond()
        await self.until(lambda: len(self.sent()) == 2)
        third = self.submit("PUT", "/c", "another")
        await self.until(lambda: len(self.sent()) == 3)
        self.assertIs(Told.RESPONSE, await self.told(first))
        self.replay.guest.on_end(1, End("cut", 1))
        await self.send(2)
        self.assertEqual([1, 2, 3, 2], self.sent())
        self.assertFalse(second.told.done() or third.told.done())

    async def test_the_outcomes_of_an_append(self) -> None:
        for error, expected in (
            (NotAccepted("full"), Told.REFUSED),
            (AcceptanceUnknown("gone"), Told.UNKNOWN),
        ):

            def append(*args: Any, error: Exception = error) -> None:
                args[3](error)
                self.withdrawn = args[4]

            with mock.patch.object(self.journal, "append", append):
                self.assertIs(expected, await self.told(self.submit()))
        totals = self.journal.totals
        self.assertEqual((0, 1, 1), (totals.accepted, totals.refused, totals.unknown))
        self.assertFalse(self.replay.idle)  # it may be there
        self.withdrawn()
        self.assertTrue(self.replay.idle)
        self.assertEqual(set(), self.reads.held)

    async def test_a_client_that_left_before_its_write_was_stored(self) -> None:
        request = self.replay.arrive()
        request.is_connected = lambda: False
        entry = entry_of(
            AcceptedWrite("shop", 0, 1.0, "PUT", "/", "h", (), Body(), "me"), service()
        )
        self.replay.submit(request, entry)
        self.assertIs(Told.REFUSED, await self.told(request))
        self.assertEqual((0, 0, set()), (self.replay.waiting, self.replay.arriving,
                                         self.reads.held))  # fmt: skip

    async def test_the_release(self) -> None:
        request = self.submit()
        await request.accepted
        with self.assertRaises(ComponentError):
            self.replay.check_closable()
        await self.send()
        sealing = asyncio.create_task(self.replay.seal(9.0))
        await self.until(lambda: self.replay.in_flight == 1)
        self.assertFalse(self.replay.sealed)
        self.respond()
        await sealing
        self.assertTrue(self.replay.sealed)
        self.replay.check_closable()
        late = self.submit()
        await late.accepted
        await self.until(lambda: len(self.sent()) == 2)
        self.assertTrue(self.links.send.call_args.args[1].late)
        self.assertFalse(self.replay.idle)
        self.replay.check_closable()
        self.replay.unseal()
        self.assertIs(Phase.REPLAYING, self.replay.machine.state.phase)

    async def test_the_deadline(self) -> None:
        requests = [self.submit(url=f"/{n}") for n in range(3)]
        await self.send()
        await self.until(lambda: self.replay.in_flight == 1)
        await self.until(lambda: self.replay.waiting == 2)
        await self.replay.give_up()
        for request in requests:
            self.assertIs(Told.IN_DOUBT, await self.told(request))
        self.assertEqual(set(), self.reads.held)
        for position in (1, 2, 3):
            found = await self.journal.find("shop", position)
            assert found is not None
            self.assertIs(WriteState.IN_DOUBT, found.state)
        self.assertEqual((True, 3), (self.replay.sealed, self.replay.counts().in_doubt))
        self.assertEqual((3, 3), (self.journal.totals.accepted, self.journal.totals.in_doubt))

    async def test_nothing_is_sent_if_the_progress_cannot_be_logged(self) -> None:
        await self.submit().accepted
        with mock.patch.object(self.journal, "log_sent", side_effect=OSError(28)):
            await self.send()
            await self.until(lambda: self.replay.waiting == 1)
        self.assertEqual([], self.sent())
        async with asyncio.timeout(5):
            await self.until(lambda: bool(self.sent()))

    async def test_stop_gives_every_client_a_status_url(self) -> None:
        request = self.submit()
        await self.replay.stop(5.0)
        self.assertIs(Told.ACCEPTED, await self.told(request))
        self.links.close_all.assert_called_once()
