"""Which logins the guest has replaced by which."""

from __future__ import annotations

import unittest

from nova_cachemig.agent.intake import renewals
from nova_cachemig.agent.intake.renewals import Renewals
from nova_cachemig.model.write import GuestResponse


class RenewalsTest(unittest.TestCase):
    def setUp(self) -> None:
        self.renewals = Renewals()

    def respond(self, cookie: str, new: str | None, client_cookie: str | None = None) -> None:
        """The guest responds to a request with this cookie."""
        headers = () if new is None else (("set-cookie", f"{new}; Path=/"),)
        sent = (("cookie", cookie),) if cookie else ()
        self.renewals.learn(sent, "10.0.0.1", client_cookie, GuestResponse(200, headers))

    def former(self, *login: str) -> list[tuple[str, ...]]:
        return list(self.renewals.former(login))

    def test_each_login_leads_to_those_before_it(self) -> None:
        self.respond("session=a; theme=dark", "session=b")
        self.respond("session=b; theme=dark", "session=c")
        self.assertEqual([("session=b",), ("session=a",)], self.former("session=c"))
        self.assertEqual([("session=a",)], self.former("session=b"))
        self.assertEqual([], self.former("session=a"))

    def test_responses_that_renew_no_login(self) -> None:
        for cookie, new in (
            ("session=a", None),
            ("session=a; csrf=1", "csrf=2"),
            ("session=a", "session=a"),
            ("", "session=a"),  # the client had no login
            ("session=a", "session=; Max-Age=0"),  # a logout
        ):
            with self.subTest(cookie=cookie, new=new):
                self.respond(cookie, new)
                self.assertEqual([], self.former("session=a"))

    def test_the_services_cookie_is_the_login(self) -> None:
        self.respond("who=me; session=a", "session=b", "who")
        self.assertEqual([], self.former("who=me"))
        self.respond("who=me; session=a", "who=you", "who")
        self.assertEqual([("who=me",)], self.former("who=you"))

    def test_a_circle_ends(self) -> None:
        self.respond("session=a", "session=b")
        self.respond("session=b", "session=a")
        self.assertEqual([("session=b",)], self.former("session=a"))

    def test_the_memory_is_bounded(self) -> None:
        for number in range(renewals._LIMIT + 1):
            self.respond(f"session={number}", f"session=new{number}")
        self.assertEqual([], self.former("session=new0"))
        self.assertEqual([("session=1",)], self.former("session=new1"))
        self.respond("session=" + "x" * renewals._MAX_LOGIN, "session=short")
        self.assertEqual([], self.former("session=short"))
        for number in range(30):
            self.respond(f"sid={number}", f"sid={number + 1}")
        self.assertEqual(renewals._MAX_STEPS, len(self.former("sid=30")))
