"""Small decisions of the handler that need no socket."""

from __future__ import annotations

import unittest

from nova_cachemig.agent.intake import keys
from nova_cachemig.agent.intake.handler import _changed, _for_guest
from nova_cachemig.agent.intake.http import RequestHead, Response, problem
from nova_cachemig.model.write import Body, GuestResponse, HeldWrite


class ForGuestTest(unittest.TestCase):
    def test_ours_and_hop_by_hop_do_not_go_to_the_guest(self) -> None:
        head = RequestHead("POST", "/", (
            ("x-cachemig-service", "shop"), ("x-cachemig-other", "1"), ("host", "h"),
            ("content-length", "3"), ("connection", "keep-alive"), ("expect", "100-continue"),
            ("idempotency-key", '"k"'), ("cookie", "a=b"), ("x-forwarded-for", "10.0.0.1"),
        ))  # fmt: skip
        kept, later = _for_guest(head)
        self.assertEqual((("cookie", "a=b"), ("x-forwarded-for", "10.0.0.1")), kept)
        self.assertFalse(later)

    def test_prefer(self) -> None:
        cases = {"respond-async": (), "Respond-Async, wait=5": (("prefer", "wait=5"),)}
        for value, left in cases.items():
            with self.subTest(value):
                head = RequestHead("PUT", "/", (("prefer", value),))
                self.assertEqual((left, True), _for_guest(head))


class ChangedTest(unittest.TestCase):
    WRITE = HeldWrite("shop", 1, 1.0, "POST", "/cart/x", "shop.example", (), Body.of(b""), "c")

    def changed(self, value: str, status: int = 201) -> tuple[str, ...]:
        return _changed(self.WRITE, GuestResponse(status, (("location", value),)))

    def test_same_host_only(self) -> None:
        self.assertEqual(("/a?b=1",), self.changed("/a?b=1"))
        self.assertEqual(("/cart/7",), self.changed("7"))
        self.assertEqual(("/z",), self.changed("http://shop.example/z#part"))
        self.assertEqual((), self.changed("http://elsewhere.example/z"))
        self.assertEqual((), self.changed("http://[broken"))
        self.assertEqual((), self.changed("/a", status=500))


class KeysTest(unittest.TestCase):
    def test_scope_and_fingerprint(self) -> None:
        head = RequestHead("POST", "/", (("authorization", "a"),))
        other = RequestHead("POST", "/", (("authorization", "b"),))
        self.assertNotEqual(keys.digest(head, "k"), keys.digest(other, "k"))
        one, two = Body.of(b"1"), Body.of(b"2")
        self.assertEqual(keys.fingerprint(head, "h", one), keys.fingerprint(other, "h", one))
        self.assertNotEqual(keys.fingerprint(head, "h", one), keys.fingerprint(head, "h", two))
        spooled = Body(spool="s", length=1, digest=__import__("hashlib").blake2b(
            b"1", digest_size=16).digest())  # fmt: skip
        self.assertEqual(keys.fingerprint(head, "h", one), keys.fingerprint(head, "h", spooled))


class ReplyTest(unittest.TestCase):
    def test_heads(self) -> None:
        self.assertIn(b"HTTP/1.1 599 Unknown\r\n", Response(599).head(keep_alive=True))
        self.assertNotIn(b"content-length", Response(204).head(keep_alive=True))
        self.assertIn(b"connection: close", problem(413, "x").head(keep_alive=False))
