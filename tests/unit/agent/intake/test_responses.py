"""The responses to a write say what is known about it."""

from __future__ import annotations

import json
import unittest
from unittest import mock

from nova_cachemig.agent.intake import responses
from nova_cachemig.agent.intake.http import Response
from nova_cachemig.model.write import Body, GuestResponse
from nova_cachemig.replay.actions import Tell, Told

SAME, OTHER = "a" * 32, "b" * 32


class ResponsesTest(unittest.TestCase):
    def setUp(self) -> None:
        self.intake = mock.Mock(secret=b"s" * 16)

    def told(
        self, told: Told, why: str = "", *, respond_async: bool = False, navigates: bool = False
    ) -> Response:
        tell = Tell(1, told, 7, why=why)
        return responses.told(self.intake, tell, respond_async=respond_async, navigates=navigates)

    @staticmethod
    def detail(response: Response) -> str:
        return str(json.loads(response.body.data)["detail"])

    def test_each_outcome_has_a_status_url(self) -> None:
        for told, status in ((Told.ACCEPTED, 202), (Told.IN_DOUBT, 502), (Told.UNKNOWN, 504)):
            with self.subTest(told):
                found = self.told(told, "it broke")
                self.assertEqual(status, found.status)
                self.assertIn("/.well-known/cachemig/", dict(found.headers)["location"])

    def test_a_preference_is_confirmed(self) -> None:
        for wanted in (False, True):
            headers = dict(self.told(Told.ACCEPTED, respond_async=wanted).headers)
            self.assertEqual(wanted, "preference-applied" in headers)

    def test_a_browser_gets_a_page(self) -> None:
        for navigates, kind in ((False, "json"), (True, "html")):
            headers = dict(self.told(Told.ACCEPTED, navigates=navigates).headers)
            self.assertIn(kind, headers["content-type"])

    def test_an_unknown_outcome_has_its_reason(self) -> None:
        self.assertIn("it broke", self.detail(self.told(Told.UNKNOWN, "it broke")))
        self.assertIn("database", self.detail(self.told(Told.UNKNOWN)))

    def test_a_key_in_use(self) -> None:
        self.assertEqual(409, responses.key_conflict("").status)
        self.assertEqual(422, responses.key_conflict("It differs.").status)

    def test_a_lost_body_is_not_taken_for_an_empty_one(self) -> None:
        first = GuestResponse(201, (("location", "/7"),), Body.of(b""))
        found = responses.body_lost(first)
        self.assertEqual((409, "/7"), (found.status, dict(found.headers)["location"]))
        self.assertIn("with 201", self.detail(found))

    def test_a_client_that_waited_is_told_why_the_body_is_missing(self) -> None:
        lost = (("cachemig-write", "responded; its body was too large to keep"), ("location", "/7"))
        for status, told in ((200, 502), (201, 502), (303, 303), (409, 409)):
            found = responses.told(
                self.intake,
                Tell(1, Told.RESPONSE, 7, GuestResponse(status, lost)),
                respond_async=False,
                navigates=False,
            )
            with self.subTest(status):
                headers = dict(found.headers)
                self.assertEqual((told, "/7"), (found.status, headers["location"]))
                self.assertIn("too large to keep", headers["cachemig-write"])
                if told == 502:
                    expected = f"with {status}, but its body was too large to keep."
                    self.assertIn(expected, self.detail(found))

    def test_a_renewed_login(self) -> None:
        self.assertEqual(409, responses.renewed_login(SAME, SAME[:16] + OTHER[16:]).status)
        self.assertEqual(422, responses.renewed_login(SAME, OTHER).status)
