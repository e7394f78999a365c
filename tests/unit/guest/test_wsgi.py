"""The WSGI middleware, between a server and an application that keep PEP 3333."""

from __future__ import annotations

import http
import io
import json
import tempfile
import unittest
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from wsgiref.util import setup_testing_defaults
from wsgiref.validate import validator

from nova_cachemig.guest.settings import Settings
from nova_cachemig.guest.sqlite import SqliteStore
from nova_cachemig.guest.store import Record, State
from nova_cachemig.guest.wsgi import WsgiIdempotency

Start = Callable[..., Callable[[bytes], object]]


class Killed(BaseException):
    """As a server ends a worker."""


class Pieces:
    """An application's iterable that notes when it is closed."""

    def __init__(self, pieces: Iterable[bytes], closed: Callable[[], None]) -> None:
        self._pieces = iter(pieces)
        self._closed = closed

    def __iter__(self) -> Iterator[bytes]:
        return self._pieces

    def close(self) -> None:
        self._closed()


class WsgiTest(unittest.TestCase):
    def setUp(self) -> None:
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.store = SqliteStore(f"{directory.name}/keys")
        self.addCleanup(self.store.close)
        self.bodies: list[bytes] = []
        self.events: list[str] = []

    def app(self, environ: dict[str, Any], start: Start) -> Iterable[bytes]:
        self.bodies.append(environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])))
        start("201 Made", [("Content-Type", "text/plain"), ("X-Mine", "1")])
        return Pieces([b"one ", b"two"], lambda: self.events.append("closed"))

    def ask(self, app: Any = None, body: bytes = b"x", *, strict: bool = True, **environ: Any):
        """→ status line, headers, body; through PEP 3333's validator on both sides."""
        inner = validator(app or self.app) if strict else app or self.app
        wrapped = WsgiIdempotency(inner, self.store, Settings(max_body=10, max_response=20))
        environ = {
            "REQUEST_METHOD": "POST",
            "HTTP_IDEMPOTENCY_KEY": '"k"',
            "CONTENT_LENGTH": str(len(body)),
            "QUERY_STRING": "",
            "wsgi.input": io.BytesIO(body),
            **environ,
        }
        setup_testing_defaults(environ)
        environ = {name: value for name, value in environ.items() if value is not None}
        started: list[Any] = []

        def start(status: str, headers: Any, exc_info: Any = None) -> Callable[[bytes], object]:
            started[:] = [status, dict(headers)]
            return lambda data: None

        result = (validator(wrapped) if strict else wrapped)(environ, start)
        try:
            content = b"".join(result)
        finally:
            if hasattr(result, "close"):
                result.close()
        return (*started, content)

    def code(self, app: Any = None, body: bytes = b"x", **environ: Any) -> tuple[str, str]:
        status, _, content = self.ask(app, body, **environ)
        return status, json.loads(content)["code"]

    def state(self) -> State | None:
        """Of the one key that was used."""
        seen: list[Record | None] = []
        claim = self.store.claim
        self.store.claim = lambda *args, **kw: seen.append(claim(*args, **kw)) or seen[-1]
        try:
            self.ask(strict=False)
        finally:
            self.store.claim = claim
        return None if seen[0] is None else seen[0].state

    def test_first_and_repeated(self) -> None:
        first = ("201 Made", {"Content-Type": "text/plain", "X-Mine": "1", "Content-Length": "7"})
        self.assertEqual((*first, b"one two"), self.ask())
        status, headers, body = self.ask()
        self.assertEqual(("201 Made", b"one two"), (status, body))
        self.assertEqual({**first[1], "Idempotent-Replayed": "true"}, headers)
        self.assertEqual([b"x"], self.bodies)
        self.assertEqual(["closed"], self.events)

    def test_requests_without_a_key_pass(self) -> None:
        for _ in range(2):
            _, headers, _ = self.ask(HTTP_IDEMPOTENCY_KEY=None)
            self.assertNotIn("Content-Length", headers)
        self.assertEqual(2, len(self.bodies))

    def test_bodies_that_are_refused(self) -> None:
        # Python 3.13 has the newer name of this status, "Content Too Large".
        too_large = f"413 {http.HTTPStatus(413).phrase}"
        self.assertEqual(too_large, self.ask(body=b"x" * 11)[0])
        chunked = {"CONTENT_LENGTH": None, "HTTP_TRANSFER_ENCODING": "chunked"}
        self.assertEqual(("411 Length Required", "length-required"), self.code(**chunked))
        ended = {**chunked, "wsgi.input_terminated": True}
        self.assertEqual(
            (too_large, "body-too-large"),
            self.code(body=b"x" * 11, strict=False, **ended),
        )
        self.assertEqual(("400 Bad Request", "body-broken"), self.code(CONTENT_LENGTH="2"))
        self.assertEqual(
            ("400 Bad Request", "body-broken"), self.code(CONTENT_LENGTH="-1", strict=False)
        )
        self.assertEqual([], self.bodies)
        self.assertEqual("201 Made", self.ask(body=b"x" * 10, **ended)[0])
        self.assertEqual("201 Made", self.ask(body=b"x" * 10)[0])
        self.assertEqual([b"x" * 10], self.bodies)

    def test_write(self) -> None:
        def app(environ: dict[str, Any], start: Start) -> Iterable[bytes]:
            self.bodies.append(b"")
            write = start("200 OK", [("Content-Type", "text/plain")])
            write(b"first ")
            return [b"second"]

        for _ in range(2):
            self.assertEqual(b"first second", self.ask(app)[2])
        self.assertEqual(1, len(self.bodies))

    def test_an_error_response_replaces_the_one_begun(self) -> None:
        def app(environ: dict[str, Any], start: Start) -> Iterable[bytes]:
            start("200 OK", [("Content-Type", "text/plain")])
            start("500 Oops", [("Content-Type", "text/plain")], (ValueError, ValueError(), None))
            return [b"oops"]

        self.assertEqual("500 Oops", self.ask(app)[0])
        self.assertEqual("500 Oops", self.ask(app)[0])

    def test_an_error_is_recorded(self) -> None:
        def at_once(environ: dict[str, Any], start: Start) -> Iterable[bytes]:
            raise ArithmeticError

        def half_way(environ: dict[str, Any], start: Start) -> Iterable[bytes]:
            start("200 OK", [("Content-Type", "text/plain")])

            def pieces() -> Iterator[bytes]:
                yield b"a"
                raise ArithmeticError

            return Pieces(pieces(), lambda: self.events.append("closed"))

        for number, app in enumerate((at_once, half_way)):
            key = {"HTTP_IDEMPOTENCY_KEY": f'"{number}"'}
            with self.assertRaises(ArithmeticError):
                self.ask(app, strict=False, **key)
            self.assertEqual(("500 Internal Server Error", "application-failed"), self.code(**key))
        self.assertEqual((["closed"], []), (self.events, self.bodies))

    def test_no_response_and_a_bad_status_are_errors(self) -> None:
        for number, status in enumerate(("", "nonsense")):

            def app(environ: dict[str, Any], start: Start, status: str = status) -> list[bytes]:
                if status:
                    start(status, [])
                return []

            with self.assertRaises((RuntimeError, ValueError)):
                self.ask(app, strict=False, HTTP_IDEMPOTENCY_KEY=f'"{number}"')
            self.assertEqual("500 Internal Server Error",
                             self.ask(HTTP_IDEMPOTENCY_KEY=f'"{number}"')[0])  # fmt: skip

    def test_an_interrupted_request_is_unknown(self) -> None:
        def app(environ: dict[str, Any], start: Start) -> Iterable[bytes]:
            raise Killed

        with self.assertRaises(Killed), self.assertLogs("nova_cachemig.guest.registry", "WARNING"):
            self.ask(app, strict=False)
        self.assertIsNone(self.state())  # by default it is applied again

    def test_closed_then_recorded_then_sent(self) -> None:
        record = self.store.record_response
        self.store.record_response = lambda *args: (self.events.append("kept"), record(*args))[1]
        self.ask()
        self.assertEqual(["closed", "kept"], self.events)

    def test_too_large_to_keep(self) -> None:
        record = self.store.record_response
        self.store.record_response = lambda *args: (self.events.append("kept"), record(*args))[1]

        def app(environ: dict[str, Any], start: Start) -> Iterable[bytes]:
            self.bodies.append(environ["wsgi.input"].read(1))
            start("201 Made", [("Content-Type", "text/plain"), ("Location", "/1")])

            def pieces() -> Iterator[bytes]:
                for number in range(5):
                    self.events.append(str(number))
                    yield b"x" * 10

            return Pieces(pieces(), lambda: self.events.append("closed"))

        self.assertEqual(b"x" * 50, self.ask(app)[2])
        # kept as soon as the third piece is over the limit, before the first goes out
        self.assertEqual(["0", "1", "2", "kept", "3", "4", "closed"], self.events)
        status, headers, content = self.ask(app)
        self.assertEqual(("409 Conflict", "/1"), (status, headers["Location"]))
        self.assertEqual(201, json.loads(content)["first_status"])
        self.assertEqual([b"x"], self.bodies)

    def test_the_application_finds_the_key(self) -> None:
        seen: list[str] = []

        def app(environ: dict[str, Any], start: Start) -> Iterable[bytes]:
            seen.append(environ["nova_cachemig.idempotency_key"])
            start("503 Later", [("Content-Type", "text/plain")])
            return [b""]

        self.ask(app)
        self.ask(app)
        self.ask(app, HTTP_AUTHORIZATION="other")
        self.assertEqual(3, len(seen))
        self.assertEqual(seen[0], seen[1])
        self.assertNotEqual(seen[0], seen[2])
        self.assertEqual(64, len(seen[0]))
