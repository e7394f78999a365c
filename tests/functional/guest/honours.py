"""Tests for both applications; ``test_flask.py`` and ``test_starlette.py`` run them."""

from __future__ import annotations

import concurrent.futures
import http.client
import tempfile
import unittest
from typing import ClassVar

from tests.functional.guest.rig import Got, Shop


class HonoursKeys:
    """A mixin for a TestCase that names the application."""

    kind: ClassVar[str]

    def shop(self: unittest.TestCase, **environment: str) -> Shop:
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        shop = Shop(self.kind, directory.name, **environment)
        self.addCleanup(shop.end)
        shop.start()
        return shop

    def broken(self: unittest.TestCase, shop: Shop, *args, **options) -> None:
        """Send a request that gets no response because the application dies."""
        with self.assertRaises((OSError, http.client.HTTPException)):
            shop.ask(*args, **options)

    def again(self: unittest.TestCase, first: Got, second: Got) -> None:
        """Assert that the second response repeats the first one."""
        self.assertEqual("true", second.headers.get("idempotent-replayed"), second)
        self.assertNotIn("idempotent-replayed", first.headers)
        self.assertEqual((first.status, first.body), (second.status, second.body))
        self.assertEqual(first.cookies, second.cookies)
        gone = {"date", "idempotent-replayed"}
        self.assertEqual(
            {name: value for name, value in first.headers.items() if name not in gone},
            {name: value for name, value in second.headers.items() if name not in gone},
        )

    def test_the_same_request_gets_the_same_response(self) -> None:
        shop = self.shop()
        first = shop.ask(b"apple")
        self.assertEqual((201, b"applied apple"), (first.status, first.body))
        self.assertEqual(2, len(first.cookies))
        self.again(first, shop.ask(b"apple"))
        self.assertEqual([b"apple"], shop.log())
        self.assertEqual((422, "key-reused"), _problem(shop.ask(b"pear")))
        self.assertEqual((422, "key-reused"), _problem(shop.ask(b"apple", url="/orders?x=1")))
        self.assertEqual((422, "key-reused"), _problem(shop.ask(b"apple", method="PUT")))
        self.assertEqual((400, "key-invalid"), _problem(shop.ask(b"apple", key="k1")))
        self.assertEqual([b"apple"], shop.log())
        self.assertEqual(201, shop.ask(b"apple", headers={"Authorization": "other"}).status)
        self.assertEqual(201, shop.ask(b"apple", key='"k2"').status)
        self.assertEqual(201, shop.ask(b"apple", key=None).status)
        self.assertEqual(201, shop.ask(b"apple", method="DELETE").status)  # not a chosen method
        self.assertEqual(5, len(shop.log()))

    def test_kill_between_requests(self) -> None:
        shop = self.shop()
        first = shop.ask(b"apple")
        shop.kill()
        shop.start()
        self.again(first, shop.ask(b"apple"))
        self.assertEqual((422, "key-reused"), _problem(shop.ask(b"pear")))
        self.assertEqual([b"apple"], shop.log())

    def test_kill_when_the_response_is_stored_and_not_sent(self) -> None:
        shop = self.shop()
        shop.die_at("stored")
        self.broken(shop, b"apple")
        shop.died()
        shop.start()
        second = shop.ask(b"apple")
        self.assertEqual((201, b"applied apple"), (second.status, second.body))
        self.assertEqual("true", second.headers["idempotent-replayed"])
        self.assertEqual([b"apple"], shop.log())

    def test_kill_before_it_is_applied(self) -> None:
        shop = self.shop()
        shop.die_at("before")
        self.broken(shop, b"apple")
        shop.died()
        shop.start()
        self.assertEqual((422, "key-reused"), _problem(shop.ask(b"pear")))
        self.assertEqual(201, shop.ask(b"apple").status)
        self.assertEqual([b"apple"], shop.log())

    def test_the_gap_doubles_as_the_documentation_says(self) -> None:
        shop = self.shop()
        shop.die_at("applied")
        self.broken(shop, b"apple")
        shop.died()
        shop.start()
        self.assertEqual(201, shop.ask(b"apple").status)
        self.assertEqual([b"apple", b"apple"], shop.log())

    def test_the_gap_is_refused_where_that_was_chosen(self) -> None:
        shop = self.shop(after_crash="refuse")
        shop.die_at("applied")
        self.broken(shop, b"apple")
        shop.died()
        shop.start()
        for _ in range(2):
            refused = shop.ask(b"apple")
            self.assertEqual((409, "outcome-unknown"), _problem(refused))
            self.assertNotIn("retry-after", refused.headers)
        self.assertEqual((422, "key-reused"), _problem(shop.ask(b"pear")))
        self.assertEqual([b"apple"], shop.log())

    def test_the_gap_is_closed_by_the_key_in_the_own_transaction(self) -> None:
        shop = self.shop()
        shop.die_at("applied")
        self.broken(shop, b"apple", url="/own")
        shop.died()
        shop.start()
        self.assertEqual((201, b"apple"), _short(shop.ask(b"apple", url="/own")))
        self.assertEqual((201, b"apple"), _short(shop.ask(b"apple", url="/own")))
        self.assertEqual([b"apple"], shop.log())

    def test_a_duplicate_while_the_first_is_under_way(self) -> None:
        shop = self.shop()
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            with shop.waiting():
                first = pool.submit(shop.ask, b"apple")
                shop.arrived()
                for _ in range(4):  # with two processes, some come to the other one
                    duplicate = shop.ask(b"apple")
                    self.assertEqual((409, "in-flight"), _problem(duplicate))
                    self.assertEqual("1", duplicate.headers["retry-after"])
                    self.assertEqual((422, "key-reused"), _problem(shop.ask(b"pear")))
            self.again(first.result(), shop.ask(b"apple"))
        self.assertEqual([b"apple"], shop.log())

    def test_many_at_once(self) -> None:
        shop = self.shop()
        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            asked = [
                pool.submit(shop.ask, b"order %d" % number, f'"key {number}"')
                for _ in range(8)
                for number in range(8)
            ]
            responses = [future.result() for future in asked]
        self.assertLessEqual({response.status for response in responses}, {201, 409})
        self.assertEqual(sorted(b"order %d" % n for n in range(8)), sorted(shop.log()))
        self.assertEqual(201, shop.ask(b"order 3", '"key 3"').status)

    def test_bodies(self) -> None:
        shop = self.shop()
        much = b"y" * (1 << 20)
        self.assertEqual((413, "body-too-large"), _problem(shop.ask(much + b"y")))
        self.assertEqual(201, shop.ask(much).status)
        self.assertEqual(201, shop.ask(iter([b"ab", b"cd"]), '"k2"', chunked=True).status)
        replayed = shop.ask(b"abcd", '"k2"')  # it is the content that counts
        self.assertEqual("true", replayed.headers["idempotent-replayed"])
        self.assertEqual([much[:64], b"abcd"], shop.log())

    def test_a_client_that_goes_away_half_way(self) -> None:
        shop = self.shop()
        shop.ask_half()
        self.assertEqual([], shop.log())
        self.assertEqual(201, shop.ask(b"half:whole").status)
        self.assertEqual([b"half:whole"], shop.log())

    def test_a_form_with_a_file(self) -> None:
        shop = self.shop()
        sent = (
            b'--b\r\nContent-Disposition: form-data; name="name"\r\n\r\napple\r\n'
            b'--b\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\n'
            + b"z" * 300_000
            + b"\r\n--b--\r\n"
        )
        kind = {"Content-Type": "multipart/form-data; boundary=b"}
        first = shop.ask(sent, url="/form", headers=kind)
        self.assertEqual(200, first.status)
        self.assertIn(b"300000", first.body)
        self.again(first, shop.ask(sent, url="/form", headers=kind))
        self.assertEqual([b"apple"], shop.log())

    def test_a_response_that_is_too_large_to_store(self) -> None:
        shop = self.shop()
        first = shop.ask(b"apple", url="/large")
        self.assertEqual((201, 500_000), (first.status, len(first.body)))
        again = shop.ask(b"apple", url="/large")
        self.assertEqual((409, "response-not-kept"), _problem(again))
        self.assertEqual("/o/1", again.headers["location"])
        self.assertEqual([b"apple"], shop.log())

    def test_a_failure_is_a_response(self) -> None:
        shop = self.shop()
        self.assertEqual(500, shop.ask(b"apple", url="/fails").status)
        again = shop.ask(b"apple", url="/fails")
        self.assertEqual(("true", 500), (again.headers["idempotent-replayed"], again.status))
        self.assertEqual([b"apple"], shop.log())


def _problem(got: Got) -> tuple[int, str]:
    return got.status, got.code


def _short(got: Got) -> tuple[int, bytes]:
    return got.status, got.body
