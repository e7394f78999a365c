"""Answers."""

from __future__ import annotations

import json
import unittest

from nova_cachemig.guest.answer import Answer, phrase, problem


class AnswerTest(unittest.TestCase):
    def test_length(self) -> None:
        length = ("Content-Length", "3")
        self.assertEqual((length,), Answer(200, body=b"abc").framed().headers)
        own = (("content-length", "3"),)
        self.assertEqual(own, Answer(200, headers=own, body=b"abc").framed().headers)
        for status in (204, 304):
            self.assertEqual((), Answer(status).framed().headers)

    def test_problem(self) -> None:
        answer = problem(409, "in-flight", "Wait.", ("Retry-After", "1"))
        facts = {"title": "Conflict", "status": 409, "detail": "Wait.", "code": "in-flight"}
        self.assertEqual(facts, json.loads(answer.body))
        headers = dict(answer.headers)
        self.assertEqual("application/problem+json", headers["Content-Type"])
        self.assertEqual(("1", str(len(answer.body))),
                         (headers["Retry-After"], headers["Content-Length"]))  # fmt: skip

    def test_phrase(self) -> None:
        self.assertEqual(("Created", "Unknown"), (phrase(201), phrase(299)))
