"""Responses: framing, and errors of the middleware."""

from __future__ import annotations

import json
import unittest

from nova_cachemig.guest.response import Response, phrase, problem_response


class ResponseTest(unittest.TestCase):
    def test_length(self) -> None:
        length = ("Content-Length", "3")
        self.assertEqual((length,), Response(200, body=b"abc").framed().headers)
        own = (("content-length", "3"),)
        self.assertEqual(own, Response(200, headers=own, body=b"abc").framed().headers)
        for status in (204, 304):
            self.assertEqual((), Response(status).framed().headers)

    def test_problem(self) -> None:
        response = problem_response(409, "in-flight", "Wait.", ("Retry-After", "1"))
        facts = {"title": "Conflict", "status": 409, "detail": "Wait.", "code": "in-flight"}
        self.assertEqual(facts, json.loads(response.body))
        headers = dict(response.headers)
        self.assertEqual("application/problem+json", headers["Content-Type"])
        self.assertEqual(("1", str(len(response.body))),
                         (headers["Retry-After"], headers["Content-Length"]))  # fmt: skip

    def test_phrase(self) -> None:
        self.assertEqual(("Created", "Unknown"), (phrase(201), phrase(299)))
