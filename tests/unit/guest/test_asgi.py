"""The ASGI middleware, message by message."""

from __future__ import annotations

import asyncio
import json
import tempfile
import threading
import unittest
from typing import Any

from nova_cachemig.guest.asgi import AsgiIdempotency
from nova_cachemig.guest.settings import AfterCrash, Settings
from nova_cachemig.guest.sqlite import SqliteStore

SETTINGS = Settings(max_body=10, max_response=20, after_crash=AfterCrash.REFUSE)
START = {"type": "http.response.start", "status": 201, "headers": [(b"x-mine", b"1")]}
LAST = {"type": "http.response.body", "body": b"made"}


class Client:
    """A server's side of one request: ``messages`` come in, ``sent`` goes out."""

    def __init__(self, *messages: dict[str, Any], **scope: Any) -> None:
        self.messages = list(messages or [{"type": "http.request", "body": b"x"}])
        self.sent: list[dict[str, Any]] = []
        self.scope = {
            "type": "http",
            "method": "POST",
            "path": "/a",
            "query_string": b"",
            "headers": [(b"idempotency-key", b'"k"'), (b"host", b"shop")],
            "extensions": {"http.response.pathsend": {}, "tls": {}},
            **scope,
        }

    async def receive(self) -> dict[str, Any]:
        if self.messages:
            return self.messages.pop(0)
        return {"type": "http.disconnect"}

    async def send(self, message: dict[str, Any]) -> None:
        self.sent.append(message)

    @property
    def status(self) -> int:
        return self.sent[0]["status"]

    @property
    def headers(self) -> dict[bytes, bytes]:
        return dict(self.sent[0]["headers"])

    @property
    def body(self) -> bytes:
        return b"".join(message["body"] for message in self.sent[1:])

    @property
    def code(self) -> str:
        return json.loads(self.body)["code"]


class AsgiTest(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self) -> None:
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.store = SqliteStore(f"{directory.name}/keys")
        self.addCleanup(self.store.close)
        self.bodies: list[bytes] = []

    async def app(self, scope: Any, receive: Any, send: Any) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body += message["body"]
            more = message["more_body"]
        self.bodies.append(body)
        await send(START)
        await send(LAST)

    async def ask(self, app: Any = None, *messages: dict[str, Any], **scope: Any) -> Client:
        client = Client(*messages, **scope)
        wrapped = AsgiIdempotency(app or self.app, self.store, SETTINGS)
        await wrapped(client.scope, client.receive, client.send)
        return client

    async def test_first_and_repeated(self) -> None:
        first = await self.ask()
        self.assertEqual((201, b"made"), (first.status, first.body))
        self.assertEqual({b"x-mine": b"1", b"content-length": b"4"}, first.headers)
        again = await self.ask()
        self.assertEqual({**first.headers, b"idempotent-replayed": b"true"}, again.headers)
        self.assertEqual((201, b"made", [b"x"]), (again.status, again.body, self.bodies))

    async def test_requests_that_pass(self) -> None:
        for scope in ({"headers": []}, {"method": "PUT"}):
            for _ in range(2):
                passed = await self.ask(
                    None, {"type": "http.request", "body": b"", "more_body": False}, **scope
                )
                self.assertEqual([START, LAST], passed.sent)
        seen: list[str] = []

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await asyncio.sleep(0)
            seen.append(scope["type"])

        await self.ask(app, type="websocket")
        await self.ask(app, type="lifespan")
        self.assertEqual(["websocket", "lifespan"], seen)

    async def test_bodies(self) -> None:
        def part(body: bytes, more: bool) -> dict[str, Any]:
            return {"type": "http.request", "body": body, "more_body": more}

        large = await self.ask(None, part(b"123456", True), part(b"123456", False))
        self.assertEqual((413, "body-too-large"), (large.status, large.code))
        got = await self.ask(headers=[(b"idempotency-key", b'"k"'), (b"content-length", b"11")])
        self.assertEqual((413, 1), (got.status, len(got.messages)))  # not read
        gone = await self.ask(None, part(b"1", True), {"type": "http.disconnect"})
        self.assertEqual(([], []), (gone.sent, self.bodies))
        await self.ask(None, part(b"123", True), part(b"", True), part(b"45", False))
        again = await self.ask(None, part(b"12345", False))
        self.assertIn(b"idempotent-replayed", again.headers)
        self.assertEqual([b"12345"], self.bodies)

    async def test_two_keys_are_none(self) -> None:
        two = [(b"idempotency-key", b'"k"'), (b"Idempotency-Key", b'"l"')]
        self.assertEqual("key-invalid", (await self.ask(headers=two)).code)

    async def test_the_application_sees(self) -> None:
        seen: list[Any] = []

        async def app(scope: Any, receive: Any, send: Any) -> None:
            seen.append((scope["nova_cachemig.idempotency_key"], scope["extensions"]))
            await self.app(scope, receive, send)

        client = await self.ask(app)
        ((key, extensions),) = seen
        self.assertEqual((64, {"tls": {}}), (len(key), extensions))
        self.assertIn("http.response.pathsend", client.scope["extensions"])

    async def test_recorded_before_it_is_sent_and_before_background_work(self) -> None:
        done = asyncio.Event()

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await self.app(scope, receive, send)
            await done.wait()

        client = Client()
        wrapped = AsgiIdempotency(app, self.store, SETTINGS)
        kept: list[int] = []
        record = self.store.record_response
        self.store.record_response = lambda *args: (kept.append(len(client.sent)), record(*args))[1]
        task = asyncio.create_task(wrapped(client.scope, client.receive, client.send))
        while len(client.sent) < 2:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
        self.assertEqual([0], kept)
        self.assertIn(b"idempotent-replayed", (await self.ask()).headers)
        done.set()
        await task

    async def test_a_disconnected_client_does_not_stop_the_application(self) -> None:
        seen: list[str] = []

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await receive()
            listener = asyncio.create_task(receive())
            await asyncio.wait({listener}, timeout=0.05)
            seen.append("gone" if listener.done() else "there")
            await send(START)
            await send(LAST)
            seen.append((await listener)["type"])  # not before all is sent

        await self.ask(app)
        self.assertEqual(["there", "http.disconnect"], seen)

    async def test_errors_are_recorded(self) -> None:
        async def at_once(scope: Any, receive: Any, send: Any) -> None:
            raise ArithmeticError

        async def half_way(scope: Any, receive: Any, send: Any) -> None:
            await send(START)
            await send({**LAST, "more_body": True})

        async def body_first(scope: Any, receive: Any, send: Any) -> None:
            await send(LAST)

        for number, app in enumerate((at_once, half_way, body_first)):
            headers = [(b"idempotency-key", b'"%d"' % number)]
            with self.assertRaises((ArithmeticError, RuntimeError)):
                await self.ask(app, headers=headers)
            again = await self.ask(headers=headers)
            self.assertEqual((500, "application-failed"), (again.status, again.code))
        self.assertEqual([], self.bodies)

    async def test_an_error_after_the_response_changes_nothing(self) -> None:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            await self.app(scope, receive, send)
            raise ArithmeticError

        with self.assertRaises(ArithmeticError):
            await self.ask(app)
        self.assertEqual(201, (await self.ask(app)).status)

    async def test_cancelled_in_the_application(self) -> None:
        inside = asyncio.Event()

        async def app(scope: Any, receive: Any, send: Any) -> None:
            inside.set()
            await asyncio.Event().wait()

        task = asyncio.create_task(self.ask(app))
        await inside.wait()
        task.cancel()
        with self.assertLogs("nova_cachemig.guest.registry", "WARNING"):
            await asyncio.gather(task, return_exceptions=True)
        self.assertEqual("outcome-unknown", (await self.ask()).code)
        self.assertEqual([], self.bodies)

    async def test_cancelled_while_the_key_is_claimed(self) -> None:
        inside, go = asyncio.Event(), threading.Event()
        loop, claim = asyncio.get_running_loop(), self.store.claim

        def slow(*args: Any, **options: Any) -> Any:
            loop.call_soon_threadsafe(inside.set)
            go.wait(10)
            return claim(*args, **options)

        self.store.claim = slow
        task = asyncio.create_task(self.ask())
        await inside.wait()
        task.cancel()
        go.set()
        await asyncio.gather(task, return_exceptions=True)
        self.store.claim = claim
        self.assertTrue(task.cancelled())
        self.assertEqual(201, (await self.ask()).status)
        self.assertEqual([b"x"], self.bodies)

    async def test_too_large_to_keep(self) -> None:
        client = Client()
        seen: list[int] = []

        async def app(scope: Any, receive: Any, send: Any) -> None:
            self.bodies.append((await receive())["body"])
            await send(START)
            for number in range(5):
                more = number < 4
                body = {"type": "http.response.body", "body": b"y" * 10, "more_body": more}
                await send(body)
                seen.append(len(client.sent))

        wrapped = AsgiIdempotency(app, self.store, SETTINGS)
        await wrapped(client.scope, client.receive, client.send)
        self.assertEqual([0, 0, 2, 3, 4], seen)
        self.assertEqual((201, b"y" * 50), (client.status, client.body))
        self.assertFalse(client.sent[-1]["more_body"])
        again = await self.ask(app)
        self.assertEqual((409, "response-not-kept"), (again.status, again.code))
        self.assertEqual([b"x"], self.bodies)
