"""Which requests certainly come from different clients, and which certainly from one."""

from __future__ import annotations

import unittest

from nova_cachemig.agent.intake.identity import CREDENTIALS, Identity, with_cookies_of
from nova_cachemig.model.write import GuestResponse


def identity(client: str = "10.0.0.1", client_cookie: str | None = None, **fields: str) -> Identity:
    headers = tuple((name.replace("_", "-"), value) for name, value in fields.items())
    return Identity(headers, client, client_cookie)


class IdentityTest(unittest.TestCase):
    def other_login(self, one: Identity, other: Identity) -> bool:
        return one.login != other.login

    def same(self, one: Identity, other: Identity) -> bool:
        return (one.login, one.marks) == (other.login, other.marks)

    def test_credentials(self) -> None:
        for name in (*CREDENTIALS, "cookie"):
            field = name.replace("-", "_")
            with self.subTest(name):
                alice, bob = identity(**{field: "alice"}), identity(**{field: "bob"})
                self.assertTrue(self.other_login(alice, bob))
                self.assertTrue(self.other_login(alice, identity()))
                self.assertTrue(self.same(alice, identity(**{field: "alice"})))

    def test_a_changed_cookie_is_neither(self) -> None:
        for one, other in (
            ("sessionid=a; csrftoken=1", "sessionid=a; csrftoken=2"),
            ("sessionid=a; cart=1", "sessionid=a; cart=2"),
            ("theme=dark; x=1", "theme=dark; x=2"),
            ("sessionid=a", "sessionid=a; seen=1"),
        ):
            with self.subTest(other):
                before, after = identity(cookie=one), identity(cookie=other)
                self.assertFalse(self.other_login(before, after))
                self.assertFalse(self.same(before, after))

    def test_a_client_with_a_login_may_change_its_address(self) -> None:
        for fields in ({"authorization": "B x"}, {"cookie": "session=a"}):
            here, there = identity("10.0.0.1", **fields), identity("10.0.0.2", **fields)
            self.assertTrue(self.same(here, there))

    def test_without_a_personal_login_the_address_counts(self) -> None:
        for fields in ({}, {"x_api_key": "application"}, {"cookie": "theme=dark; lang=en"}):
            with self.subTest(fields):
                here, there = identity("10.0.0.1", **fields), identity("10.0.0.2", **fields)
                self.assertFalse(self.same(here, there))
                self.assertFalse(self.other_login(here, there))

    def test_the_services_cookie_is_the_login(self) -> None:
        one = identity(client_cookie="who", cookie="who=alice; session=1")
        other = identity(client_cookie="who", cookie="who=alice; session=2")
        self.assertFalse(self.other_login(one, other))
        bob = identity(client_cookie="who", cookie="who=bob; session=1")
        self.assertTrue(self.other_login(one, bob))

    def test_the_cookies_of_a_response(self) -> None:
        for before, new, after in (
            ((), ("a=1; Path=/",), (("cookie", "a=1"),)),
            ((("cookie", "a=1; b=2"),), ("a=3",), (("cookie", "a=3; b=2"),)),
            ((("cookie", "a=1"),), ("a=; Max-Age=0",), ()),
            ((("cookie", "a=1"), ("cookie", "b=2")), (), (("cookie", "a=1; b=2"),)),
            ((("x", "y"), ("cookie", "c=x=y")), ("d",), (("x", "y"), ("cookie", "c=x=y; d"))),
        ):
            with self.subTest(before):
                response = GuestResponse(200, tuple(("set-cookie", value) for value in new))
                self.assertEqual(after, with_cookies_of(response, before))
