"""Decisions of the request handler, over a real journal; the guest responds when a test says."""

from __future__ import annotations

import asyncio
import json
import tempfile
import unittest
from typing import Any, cast
from unittest import mock

from nova_cachemig.agent.intake import handler, status
from nova_cachemig.agent.intake.barrier import ReadBarrier
from nova_cachemig.agent.intake.handler import RequestHandler
from nova_cachemig.agent.intake.http import RequestHead, Response
from nova_cachemig.agent.intake.service import HeldClient, ServiceIntake, WriteReads
from nova_cachemig.agent.journal.errors import AcceptanceUnknown, NotAccepted
from nova_cachemig.agent.journal.store import Journal
from nova_cachemig.agent.replay import entries
from nova_cachemig.agent.replay.adapter import ServiceReplay
from nova_cachemig.agent.replay.reports import End
from nova_cachemig.model.policy import Consent, Policy, Rule
from nova_cachemig.model.service import Target, WriteMode
from nova_cachemig.model.write import AcceptedWrite, Body, GuestResponse
from tests.functional.replay.path import conf_for, service


def request(method: str = "POST", url: str = "/x", **headers: str) -> RequestHead:
    fields = {"x-cachemig-service": "shop", "x-cachemig-client": "me", "host": "shop.example"}
    fields |= {name.replace("_", "-"): value for name, value in headers.items()}
    return RequestHead(method, url, tuple(fields.items()))


class Guest:
    """Stands for the connections: takes writes, and responds to the oldest one."""

    def __init__(self, replay: ServiceReplay) -> None:
        self.replay = replay
        self.taken: list[AcceptedWrite] = []
        self.arrived = asyncio.Event()

    def connect(self, target: Any) -> None:
        asyncio.get_running_loop().call_soon(self.replay.guest.on_connected, 1, target)

    def send(self, _name: int, write: AcceptedWrite) -> None:
        self.taken.append(write)
        self.arrived.set()

    async def take(self) -> AcceptedWrite:
        self.arrived.clear()
        if not self.taken:
            await self.arrived.wait()
        return self.taken.pop(0)

    def respond(self, text: bytes) -> None:
        response = GuestResponse(200, (), Body.of(text))
        self.replay.guest.on_response(1, response, keep_alive=True, idle_timeout=None)

    def flush(self) -> None:
        pass

    stop_connecting = retransmit = stop_retransmitting = close_all = flush

    def close(self, _name: int) -> None:
        pass


class RequestHandlerTest(unittest.IsolatedAsyncioTestCase):
    async def begin(self, mode: WriteMode = WriteMode.HOLD, **options: Any) -> None:
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        conf = conf_for(directory.name, **options)
        self.journal = Journal(conf)
        await self.journal.open()
        self.addAsyncCleanup(self.journal.close)
        state = await self.journal.queue_state("shop")
        reads = WriteReads(ReadBarrier(None, "shop"), self.journal, None)
        self.replay = ServiceReplay(
            self.journal,
            service(writes=mode),
            state,
            conf,
            reads,
            send_window=16,
        )
        self.replay.hold()
        self.guest = Guest(self.replay)
        self.replay.guest.links = cast(Any, self.guest)
        self.intake = ServiceIntake(self.replay, reads, state.secret)
        self.handler = RequestHandler(self.journal, conf, {"shop": self.intake})

    def send(self) -> None:
        """The guest is reachable."""
        self.replay.send_to(Target("192.0.2.1", 80))

    async def held(self, head: RequestHead, body: bytes = b"1") -> HeldClient:
        outcome = await self.handler.handle(head, Body.of(body))
        assert isinstance(outcome, HeldClient)
        return outcome

    async def refused(self, head: RequestHead, body: bytes = b"1") -> int:
        outcome = await self.handler.handle(head, Body.of(body))
        assert isinstance(outcome, Response)
        return outcome.status

    async def take(self) -> AcceptedWrite:
        """Let the guest have the next write."""
        self.send()
        async with asyncio.timeout(5):
            return await self.guest.take()

    async def respond(self, text: bytes) -> None:
        """Let the guest respond to the next write."""
        await self.take()
        self.guest.respond(text)

    async def test_refusals_before_the_body(self) -> None:
        await self.begin(max_body=10, max_waiting=1)
        self.assertIsNone(self.handler.refuse(request(content_length="10")))
        for head, expected in (
            (request(content_length="11"), 413),
            (request(x_cachemig_service="other"), 503),
            (request("M" * 33), 501),
            (request(host="h" * 513), 400),
        ):
            refusal = self.handler.refuse(head)
            assert refusal is not None
            self.assertEqual(expected, refusal.status)
        await self.held(request())
        refusal = self.handler.refuse(request())
        assert refusal is not None
        self.assertEqual(503, refusal.status)
        self.assertEqual(5, self.handler.refused)
        self.assertIsNone(self.handler.refuse(request("GET", status.PREFIX + "x")))

    async def test_a_page_is_the_same_under_all_host_names(self) -> None:
        await self.begin()
        for host in ("shop.example", "www.shop.example:8080", ""):
            await self.held(request(host=host))
        ready = self.replay.machine.state.ready
        self.assertEqual(["/x"] * 3, [entry.page for entry in ready])

    async def test_a_client_gets_the_guests_response(self) -> None:
        await self.begin()
        held = await self.held(request())
        waiting = asyncio.create_task(self.handler.wait_for_response(held))
        await self.respond(b"done")
        response = await waiting
        self.assertEqual((200, b"done"), (response.status, response.body.data))

    async def test_stop_gives_a_status_url_whose_response_is_kept(self) -> None:
        await self.begin()
        held = await self.held(request())
        waiting = asyncio.create_task(self.handler.wait_for_response(held))
        await asyncio.sleep(0)
        self.replay.perform(self.replay.machine.stop(0.0))
        response = await waiting
        self.assertEqual(202, response.status)
        url = dict(response.headers)["location"]
        self.assertEqual(202, await self.refused(request("GET", url)))
        await self.respond(b"later")
        await self.replay.drained()
        stored = await self.handler.handle(request("GET", url), Body())
        assert isinstance(stored, Response)
        self.assertEqual((200, b"later"), (stored.status, stored.body.data))
        self.assertEqual(405, await self.refused(request("DELETE", url)))
        self.assertEqual(404, await self.refused(request("GET", url[:-1] + "!")))

    async def test_hold_timeout_while_the_database_is_away(self) -> None:
        """The write is accepted, so the client gets its 202 whatever the database does."""
        with mock.patch.object(entries, "PROMPT_202", 0.05):
            await self.begin(hold_timeout=0.0)

        def hangs(*_args: object) -> None:
            return

        def rejects(_service: str, _position: int, done: Any) -> None:
            done(NotAccepted("the database rejects it"))

        for keep in (hangs, rejects):
            with mock.patch.object(self.journal, "keep_response", keep):
                held = await self.held(request())
                self.assertEqual(202, (await self.handler.wait_for_response(held)).status)
        await self.respond(b"kept")
        await self.respond(b"kept too")
        await self.replay.drained()
        kept = await self.journal.find("shop", 1)
        assert kept is not None
        assert kept.response is not None
        self.assertEqual(b"kept", kept.response.body.data)

    async def test_accept_mode_responds_immediately(self) -> None:
        await self.begin(WriteMode.ACCEPT)
        response = await self.handler.handle(request(), Body.of(b"1"))
        assert isinstance(response, Response)
        self.assertEqual(202, response.status)
        self.assertNotIn("preference-applied", dict(response.headers))
        self.assertTrue((await self.take()).has_status_url)

    async def test_consented_paths_get_a_page_for_a_form_and_json_for_a_script(self) -> None:
        await self.begin()
        rule = Rule(paths=("/comment",), accept_writes=True)
        policy = Policy(consent=(Consent.WRITES,), own=(rule,))
        self.replay.reopen(service(policy=policy))
        form = {"content_type": "application/x-www-form-urlencoded", "accept": "text/html, */*"}
        saved = await self.handler.handle(request(url="/comment", **form), Body.of(b"a=1"))
        data = await self.handler.handle(
            request(url="/comment", accept="application/json"), Body.of(b"{}")
        )
        assert isinstance(saved, Response)
        assert isinstance(data, Response)
        self.assertEqual((202, 202), (saved.status, data.status))
        location = dict(saved.headers)["location"]
        self.assertIn(f'href="{location}"'.encode(), saved.body.data)
        self.assertEqual("accepted", json.loads(data.body.data)["state"])
        await self.held(request(url="/order", **form))
        browser = request("GET", location, accept="text/html")
        for head, kind in ((browser, "text/html"), (request("GET", location), "application/json")):
            waits = await self.handler.handle(head, Body.of(b""))
            assert isinstance(waits, Response)
            self.assertEqual(202, waits.status)
            self.assertTrue(dict(waits.headers)["content-type"].startswith(kind))
        await self.respond(b"thanks")
        async with asyncio.timeout(5):
            while True:
                found = await self.handler.handle(browser, Body.of(b""))
                assert isinstance(found, Response)
                if found.status == 200:
                    break
        self.assertEqual(b"thanks", found.body.data)

    async def test_without_consent_a_form_waits(self) -> None:
        await self.begin()
        policy = Policy(inherited=(Rule(accept_writes=True),))
        self.replay.reopen(service(policy=policy))
        await self.held(request())

    async def test_respond_async(self) -> None:
        await self.begin()
        response = await self.handler.handle(request(prefer="respond-async"), Body.of(b"1"))
        assert isinstance(response, Response)
        self.assertEqual(202, response.status)
        self.assertEqual("respond-async", dict(response.headers)["preference-applied"])
        self.assertEqual("accepted", json.loads(response.body.data)["state"])

    async def test_a_guest_that_responds_promptly_meets_the_preference_itself(self) -> None:
        await self.begin()
        self.send()
        held = await self.held(request(prefer="respond-async"))
        waiting = asyncio.create_task(self.handler.wait_for_response(held))
        await self.respond(b"job 1")
        response = await waiting
        self.assertEqual((200, b"job 1"), (response.status, response.body.data))

    async def test_a_guest_that_does_not_respond_promptly(self) -> None:
        with mock.patch.object(entries, "PROMPT_202", 0.05):
            await self.begin()
        self.send()
        held = await self.held(request(prefer="respond-async"))
        response = await self.handler.wait_for_response(held)
        self.assertEqual(202, response.status)
        self.assertEqual("respond-async", dict(response.headers)["preference-applied"])
        await self.held(request(x_cachemig_client="another"))
        behind = await self.handler.handle(request(prefer="respond-async"), Body.of(b"1"))
        assert isinstance(behind, Response)  # another write waits already
        self.assertEqual(202, behind.status)

    async def test_the_guest_gets_the_preference_unless_the_intake_meets_it(self) -> None:
        await self.begin()
        for mode, expected in ((WriteMode.HOLD, "respond-async"), (WriteMode.ACCEPT, None)):
            self.replay.reopen(service(writes=mode))
            await self.handler.handle(request(prefer="respond-async"), Body.of(b"1"))
            self.assertEqual(expected, dict((await self.take()).headers).get("prefer"))
            self.guest.respond(b"")
            await self.replay.drained()

    async def test_a_key_of_our_own_is_for_a_guest_that_honours_keys(self) -> None:
        await self.begin()
        for honours, field, expected in (
            (False, {}, r"\ANone\Z"),
            (True, {}, r'\A"[0-9a-f]{32}"\Z'),
            (False, {"idempotency_key": "theirs"}, r"\Atheirs\Z"),
            (True, {"idempotency_key": "theirs-2"}, r"\Atheirs-2\Z"),
        ):
            self.replay.reopen(service(honours_keys=honours))
            await self.held(request(**field))
            self.assertRegex(str((await self.take()).key), expected)
            self.guest.respond(b"")
            await self.replay.drained()

    async def test_repeated_keys(self) -> None:
        await self.begin()
        head = request(idempotency_key='"k"')
        held = await self.held(head)
        self.assertEqual(409, await self.refused(head))
        self.assertEqual(422, await self.refused(head, b"2"))
        waiting = asyncio.create_task(self.handler.wait_for_response(held))
        await self.respond(b"once")
        await waiting
        repeated = await self.handler.handle(head, Body.of(b"1"))
        assert isinstance(repeated, Response)
        self.assertEqual((200, b"once"), (repeated.status, repeated.body.data))
        self.assertEqual(([], 1), (self.guest.taken, self.replay.machine.state.accepted))
        self.assertEqual({}, self.intake.keys)

    async def test_a_quarantined_write_is_a_502_with_a_status_url(self) -> None:
        await self.begin()
        held = await self.held(request())
        waiting = asyncio.create_task(self.handler.wait_for_response(held))
        await self.take()
        self.replay.guest.on_end(1, End("the operator's reason", 1))
        response = await waiting
        self.assertEqual(502, response.status)
        self.assertNotIn(b"operator", response.body.data)
        self.assertIn(b"the connection to the server was lost", response.body.data)
        shown = await self.handler.handle(
            request("GET", dict(response.headers)["location"]), Body()
        )
        assert isinstance(shown, Response)
        self.assertEqual("in_doubt", json.loads(shown.body.data)["state"])

    async def test_a_rejected_body_leaves_no_spool_file(self) -> None:
        await self.begin()
        file = self.journal.spool.create()
        file.write(b"1" * 100)
        outcome = await self.handler.handle(request(x_cachemig_service="other"), file.seal())
        assert isinstance(outcome, Response)
        self.assertEqual(503, outcome.status)
        self.assertEqual([], list(self.journal.spool.directory.iterdir()))

    async def test_an_unknown_acceptance_is_told_as_such(self) -> None:
        await self.begin()
        spooled = self.journal.spool.create().seal()
        assert spooled.spool is not None

        def append(_write: AcceptedWrite, _limit: Any, _key: Any, done: Any, _gone: Any) -> None:
            done(AcceptanceUnknown("gone"))

        with mock.patch.object(self.journal, "append", append):
            response = await self.handler.handle(request(), spooled)
        assert isinstance(response, Response)
        self.assertEqual(504, response.status)
        position = status.position_of(self.intake.secret, dict(response.headers)["location"])
        self.assertEqual(1, position)
        # The row may be there, and need it.
        self.assertTrue((self.journal.spool.directory / spooled.spool).exists())

    async def test_a_database_that_does_not_respond(self) -> None:
        """The client gets 504 after a while; its write may be accepted or refused after that."""
        await self.begin()
        later: list[Any] = []

        def append(_write: AcceptedWrite, _limit: Any, _key: Any, done: Any, _gone: Any) -> None:
            later.append(done)

        with (
            mock.patch.object(self.journal, "append", append),
            mock.patch.object(handler, "_ACCEPTANCE_TIMEOUT", 0.0),
        ):
            self.assertEqual(504, await self.refused(request()))
            self.assertEqual(504, await self.refused(request()))
        later[0](None)
        later[1](NotAccepted("full"))
        await asyncio.sleep(0)
        state = self.replay.machine.state
        self.assertEqual((1, 1, {}), (state.accepted, state.waiting, state.clients))
