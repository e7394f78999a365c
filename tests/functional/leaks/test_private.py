"""The owner consents to private pages of every login: still no user sees another's."""

from __future__ import annotations

from collections.abc import Iterator

from nova_cachemig.agent.services import presets
from nova_cachemig.model.policy import Consent, Policy, Rule
from tests.functional.leaks import ways
from tests.functional.leaks.rig import LeakCase
from tests.functional.leaks.way import Fields, User, Way

_POLICY = Policy(
    consent=(Consent.PRIVATE,),
    own=(Rule(private=True, login_cookies=("*",)),),
    inherited=presets.load()["default"],
)
_REPLIES: dict[str, Fields] = {
    "private": (("Cache-Control", "private"),),
    "no-store": (("Cache-Control", "no-store"),),
    "no-cache": (("Cache-Control", "no-cache"),),
    "max-age=0": (("Cache-Control", "max-age=0, must-revalidate"),),
    "Set-Cookie": (("Set-Cookie", "sid=secret-cookie"),),
}


def _user(who: str, *fields: tuple[str, str], **more: str) -> User:
    return User((("Cookie", f"sid=secret-{who}"), *fields), **more)


def _strangers() -> Iterator[tuple[str, User, User]]:
    """Yield pairs of users who must not see each other's pages."""
    login = ("Authorization", "Bearer secret-a")
    yield "another login", _user("a"), _user("b")
    yield "another login by Authorization", User((login,)), User((("Authorization", "Bearer b"),))
    yield "the login and one more", _user("a"), _user("a", login)
    yield "no login", _user("a"), User()
    yield "no login first", User(), _user("b")
    yield "an analytics cookie only", User((("Cookie", "_ga=1"),)), User((("Cookie", "_ga=2"),))
    yield "another address", _user("a"), _user("a", address="127.0.0.3")
    yield "another Authorization, one address", User((login,)), User((login,), address="127.0.0.3")
    for name in ("X-Auth-Token", "X-Forwarded-User", "Accept-Language", "X-Unknown"):
        first, second = (_user("c", (name, f"secret-{who}")) for who in "ab")
        yield f"one login, another {name}", first, second


def private() -> Iterator[Way]:
    """Yield all pairs with each kind of response; each response has a new token."""
    for label, first, second in _strangers():
        for key, reply in _REPLIES.items():
            yield Way(f"private: {label}, {key}", first, second, reply, unique=True)


def kept() -> Iterator[Way]:
    """Yield users who get their own private page: else the others would show nothing."""
    for key, reply in _REPLIES.items():
        for name, user in {
            "cookie": _user("a"),
            "Authorization": User((("Authorization", "Bearer secret-a"),)),
        }.items():
            yield Way(f"kept for a login by {name}, {key}", user, user, reply, unique=True)


class PrivateLeakTest(LeakCase):
    async def asyncSetUp(self) -> None:
        await super().asyncSetUp()
        self.service = self.a_service(policy=_POLICY)
        await self.engine.apply([self.route(self.service)])

    async def test_private_pages(self) -> None:
        await self.judge(list(private()))

    async def test_who_has_the_login_gets_the_page(self) -> None:
        await self.judge_found(list(kept()))

    async def test_logins(self) -> None:
        await self.judge(list(ways.logins()))

    async def test_cookies(self) -> None:
        await self.judge(list(ways.cookies()))

    async def test_responses_and_addresses(self) -> None:
        await self.judge([*ways.responses(), *ways.addresses()])

    async def test_partial_requests(self) -> None:
        await self.judge(list(ways.partial()))

    async def test_waiting_requests(self) -> None:
        await self.judge_waiting(list(ways.waiting()))
