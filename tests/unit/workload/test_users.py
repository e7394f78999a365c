"""The sessions of the workload's users, on both sides."""

from __future__ import annotations

import unittest

from tests.workload.client import Reply
from tests.workload.guest import identity, next_session
from tests.workload.users import Log, Profile, Session
from tests.workload.wire import Head


def request(*lines: str) -> Head:
    fields: dict[str, list[str]] = {}
    for line in lines:
        name, _, value = line.partition(": ")
        fields.setdefault(name.lower(), []).append(value)
    return Head("", fields)


class SessionTest(unittest.TestCase):
    def setUp(self) -> None:
        self.log = Log()
        login = "Cookie: sessionid=anna~0"
        profile = Profile("anna", "shop", 80, "127.1.0.1", login, keyed=True, patience=1.0)
        self.session = Session(profile, self.log)

    def get(self, *cookies: str) -> None:
        fields = {"set-cookie": list(cookies)}
        self.session.learn(Reply(200, Head("", fields), b"", True))

    def test_a_session_is_renewed_and_its_user_stays(self) -> None:
        for number in (1, 2):
            renewed = next_session(request(*self.session.fields()))
            self.assertEqual(f"set-cookie: sessionid=anna~{number}", renewed)
            self.get("seen=anna", f"sessionid=anna~{number}")
            self.assertEqual("sessionid=anna", identity(request(*self.session.fields())))
        self.assertEqual(["Cookie: sessionid=anna~2"], self.session.fields())
        self.assertEqual([], self.log.crossed)

    def test_others_keep_theirs(self) -> None:
        for line in ("Cookie: sessionid=otto", "Cookie: a=b~1", "X-Api-Key: anna~0"):
            self.assertIsNone(next_session(request(line)))

    def test_another_users_cookie_is_noticed(self) -> None:
        for cookie in ("sessionid=otto~1", "seen=otto"):
            self.get(cookie)
        self.assertEqual(2, len(self.log.crossed))
        self.assertEqual(["Cookie: sessionid=anna~0"], self.session.fields())
