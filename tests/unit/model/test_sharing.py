"""The classes of request headers."""

from __future__ import annotations

import unittest

from nova_cachemig.model.sharing import IDENTIFYING, NEUTRAL, ORDINARY, HeaderClass, class_of


class ClassTest(unittest.TestCase):
    def test_what_tells_who_asks(self) -> None:
        for name in (
            "authorization", "cookie", "x-auth-token", "x-api-key", "x-csrf-token", "remote-user",
            "x-forwarded-user", "x-forwarded-email", "x-tenant-id", "x-ssl-client-s-dn",
            "cf-access-jwt-assertion", "x-amzn-oidc-data", "x-device-id", "from",
        ):  # fmt: skip
            self.assertIs(HeaderClass.IDENTIFYING, class_of(name), name)

    def test_what_no_page_depends_on(self) -> None:
        for name in ("host", "if-none-match", "range", "sec-fetch-user", "x-b3-traceid", "dnt"):
            self.assertIs(HeaderClass.NEUTRAL, class_of(name), name)

    def test_what_the_warmer_tries(self) -> None:
        for name in ("user-agent", "accept-language", "sec-ch-ua-platform", "x-forwarded-for"):
            self.assertIs(HeaderClass.ORDINARY, class_of(name), name)

    def test_all_others_are_part_of_the_key(self) -> None:
        for name in ("x-requested-with", "hx-request", "origin", "x-unknown", "x-real-ip"):
            self.assertIs(HeaderClass.OTHER, class_of(name), name)

    def test_a_policy_comes_first(self) -> None:
        self.assertIs(HeaderClass.NEUTRAL, class_of("x-real-ip", neutral=["x-real-*"]))
        self.assertIs(HeaderClass.NEUTRAL, class_of("x-client-id", neutral=["x-client-id"]))
        self.assertIs(HeaderClass.IDENTIFYING, class_of("x-member", identifying=["x-member"]))
        both = class_of("x-member", neutral=["x-*"], identifying=["x-member"])
        self.assertIs(HeaderClass.IDENTIFYING, both)

    def test_no_policy_makes_a_login_neutral(self) -> None:
        for name in ("authorization", "proxy-authorization", "cookie", "cookie2"):
            self.assertIs(HeaderClass.IDENTIFYING, class_of(name, neutral=["*"]), name)

    def test_the_lists_are_in_lower_case_and_single_words(self) -> None:
        # The agent renders them into a line of Lua.
        for glob in (*NEUTRAL, *IDENTIFYING, *ORDINARY):
            self.assertRegex(glob, r"^[a-z0-9*-]+$")
