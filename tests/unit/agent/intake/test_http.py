"""Requests from the edge and responses to it."""

from __future__ import annotations

import json
import unittest
from unittest import mock

from nova_cachemig.agent.intake.http import (
    RequestHead,
    Response,
    guest_response,
    json_response,
    problem_response,
)
from nova_cachemig.model.write import Body, GuestResponse


class RequestHeadTest(unittest.TestCase):
    def test_the_first_value_counts(self) -> None:
        head = RequestHead(
            "POST", "/", (("x-cachemig-client", "edge"), ("x-cachemig-client", "no"))
        )
        self.assertEqual("edge", head.get("x-cachemig-client"))
        self.assertIsNone(head.get("host"))

    def test_length_and_framing(self) -> None:
        for headers, length, framed in (
            ((("content-length", "7"),), 7, True),
            ((("content-length", "-1"),), None, True),
            ((("transfer-encoding", "chunked"),), None, True),
            ((), None, False),
        ):
            with self.subTest(headers):
                head = RequestHead("POST", "/", headers)
                self.assertEqual((length, framed), (head.length, head.framed))

    def test_our_fields_and_hop_by_hop_fields_are_not_for_the_guest(self) -> None:
        head = RequestHead("POST", "/", (
            ("x-cachemig-service", "shop"), ("x-cachemig-other", "1"), ("host", "h"),
            ("content-length", "3"), ("connection", "keep-alive"), ("expect", "100-continue"),
            ("idempotency-key", '"k"'), ("cookie", "a=b"), ("x-forwarded-for", "10.0.0.1"),
        ))  # fmt: skip
        headers = head.for_guest(respond_async=True)
        self.assertEqual((("cookie", "a=b"), ("x-forwarded-for", "10.0.0.1")), headers)
        self.assertFalse(head.respond_async)

    def test_who_shows_the_response_as_a_page(self) -> None:
        form = {"content-type": "multipart/form-data; boundary=x", "accept": "text/html,*/*;q=0.8"}
        for method, fields, expected in (
            ("POST", form, True),
            ("POST", form | {"sec-fetch-mode": "navigate"}, True),
            ("POST", form | {"sec-fetch-mode": "cors"}, False),
            ("POST", form | {"x-requested-with": "XMLHttpRequest"}, False),
            ("POST", form | {"content-type": "application/json"}, False),
            ("POST", form | {"accept": "*/*"}, False),
            ("POST", {}, False),
            ("PUT", {"accept": "text/html"}, False),
            ("GET", {"accept": "text/html"}, True),
            ("GET", {}, False),
        ):
            head = RequestHead(method, "/", tuple(fields.items()))
            self.assertIs(expected, head.navigates, (method, fields))

    def test_prefer(self) -> None:
        cases = {
            "respond-async": ((), True),
            "Respond-Async, wait=5": ((("prefer", "wait=5"),), True),
            "wait=5": ((("prefer", "wait=5"),), False),
        }
        for value, expected in cases.items():
            with self.subTest(value):
                head = RequestHead("PUT", "/", (("prefer", value),))
                found = head.for_guest(respond_async=False), head.respond_async
                self.assertEqual(expected, found)
                self.assertEqual(head.headers, head.for_guest(respond_async=True))


class ResponseTest(unittest.TestCase):
    def test_heads(self) -> None:
        self.assertIn(b"HTTP/1.1 599 Unknown\r\n", Response(599).head(keep_alive=True))
        self.assertNotIn(b"content-length", Response(204).head(keep_alive=True))
        self.assertIn(b"connection: close", problem_response(413, "x").head(keep_alive=False))

    def test_the_length_is_that_of_the_body(self) -> None:
        relayed = guest_response(
            GuestResponse(200, (("content-length", "99"), ("a", "1")), Body.of(b"abc")), ("b", "2")
        )
        head = relayed.head(keep_alive=True)
        self.assertIn(b"content-length: 3\r\n", head)
        self.assertNotIn(b"99", head)
        self.assertIn(b"a: 1\r\nb: 2\r\n", head)
        self.assertNotIn(b"content-length", relayed.head(keep_alive=True, bodiless=True))

    def test_a_body_that_is_still_to_come(self) -> None:
        """It has the guest's framing, and no note that the journal does not keep it."""
        note = ("cachemig-write", "responded; its body was too large to keep")
        headers = (("content-length", "7"), ("a", "1"), note)
        for length, line in ((7, b"content-length: 7"), (None, b"transfer-encoding: chunked")):
            tail = mock.Mock(length=length)
            response = guest_response(GuestResponse(200, headers, tail=tail), ("b", "2"))
            self.assertIs(tail, response.tail)
            self.assertEqual(
                [b"HTTP/1.1 200 OK", b"a: 1", b"b: 2", line, b"", b""],
                response.head(keep_alive=True).split(b"\r\n"),
            )

    def test_problems_and_facts_are_json_that_no_cache_stores(self) -> None:
        problem = problem_response(503, "full", ("retry-after", "1"))
        self.assertEqual(
            {"title": "Service Unavailable", "status": 503, "detail": "full"},
            json.loads(problem.body.data),
        )
        for response in (problem, json_response(200, {"a": 1})):
            self.assertEqual("no-store", dict(response.headers)["cache-control"])
        self.assertEqual("1", dict(problem.headers)["retry-after"])
