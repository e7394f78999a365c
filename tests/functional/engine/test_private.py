"""Private pages, kept for a login by consent and used in the silence, with real engines."""

from __future__ import annotations

import asyncio

from nova_cachemig.model.phase import EdgeState
from nova_cachemig.model.policy import Consent, Policy, Rule
from tests.functional.engine.servers import Response
from tests.functional.engine.test_policy import DEFAULT, PolicyCase

PRIVATE = {"Cache-Control": "private, no-store", "Set-Cookie": "csrf=abc", "Vary": "Cookie"}
ANN, BOB = "sid=ann", "sid=bob"
BEARER = {"Authorization": "Bearer ann"}


class Private(PolicyCase):
    """The owner consents for ``/my/``; ``sid`` means a login."""

    policy = Policy(
        consent=(Consent.PRIVATE,),
        own=(
            Rule(paths=("/my/*",), private=True),
            Rule(login_cookies=("sid",)),
            Rule(paths=("/my/secret",), never=True),
        ),
        inherited=DEFAULT,
    )

    async def asyncSetUp(self) -> None:
        await super().asyncSetUp()
        for url in ("/my/a", "/my/b", "/my/secret", "/other"):
            self.guest.rules[url] = PRIVATE
        await self.flip(EdgeState.ARMED)

    async def assert_waits(self, url: str, **kwargs: object) -> None:
        waiting = asyncio.create_task(self.get(url, **kwargs))
        await self.holding(1)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        await self.holding(0)

    async def seen(self, url: str, **headers: str) -> Response:
        """Get a page twice while armed, as a user does who looks at it again."""
        return await self.stored(url, headers=headers)

    async def test_the_same_login_gets_it_in_the_silence_and_nobody_else(self) -> None:
        given = await self.seen("/my/a", Cookie=f"{ANN}; _ga=1")
        self.assertEqual("csrf=abc", given.headers["set-cookie"])  # the guest's own response
        await self.flip(EdgeState.SHIELDED)
        hit = await self.get("/my/a", headers={"Cookie": f"{ANN}; _ga=2"})
        self.assertEqual(given.body, hit.body)
        self.assertEqual("private, no-store", hit.headers["cache-control"])
        self.assertNotIn("set-cookie", hit.headers)
        for cookie in (BOB, "", f"{ANN}; lang=de", "_ga=1", "xsid=ann"):
            await self.assert_held("/my/a", cookie)
        await self.assert_waits("/my/a", headers={"Cookie": ANN}, source="127.0.0.2")
        await self.assert_waits("/my/a", headers={"Cookie": ANN, "X-Auth-Token": "x"})
        await self.assert_waits("/my/a", headers={"Cookie": ANN, **BEARER})

    async def test_a_redirect_of_a_login(self) -> None:
        self.guest.statuses["/my/a"] = 302
        self.guest.rules["/my/a"] = PRIVATE | {"Location": "/my/ann"}
        await self.seen("/my/a", Cookie=ANN)
        await self.flip(EdgeState.SHIELDED)
        found = await self.get("/my/a", headers={"Cookie": ANN})
        self.assertEqual((302, "/my/ann"), (found.status, found.headers["location"]))
        await self.assert_held("/my/a", BOB)

    async def test_a_login_by_authorization(self) -> None:
        given = await self.seen("/my/a", **BEARER)
        self.assertEqual(BEARER["Authorization"], self.guest.seen[-1].headers["authorization"])
        await self.flip(EdgeState.SHIELDED)
        self.assertEqual(given.body, (await self.get("/my/a", headers=BEARER)).body)
        await self.assert_waits("/my/a", headers={"Authorization": "Bearer bob"})
        await self.assert_waits("/my/a")

    async def test_only_what_the_rules_name_is_kept(self) -> None:
        for url in ("/other", "/my/secret"):
            await self.seen(url, Cookie=ANN)
            await self.seen(url, **BEARER)
        await self.seen("/my/a", Cookie="lang=de")  # no login
        await self.seen("/my/b")
        await self.flip(EdgeState.SHIELDED)
        for url in ("/other", "/my/secret"):
            await self.assert_held(url, ANN)
            await self.assert_waits(url, headers=BEARER)
        await self.assert_held("/my/a", "lang=de")
        await self.assert_held("/my/b")

    async def test_the_guest_answers_before_and_after_the_silence(self) -> None:
        given = await self.seen("/my/a", Cookie=ANN)
        for state in (EdgeState.ARMED, EdgeState.REPLAY, EdgeState.DRAIN):
            await self.flip(state)
            response = await self.asks("/my/a", ANN)
            self.assertNotEqual(given.body, response.body)
            self.assertEqual("csrf=abc", response.headers["set-cookie"])

    async def test_any_write_of_the_login_ends_its_private_pages(self) -> None:
        await self.seen("/my/a", Cookie=ANN)
        await self.seen("/my/a", Cookie=f"{ANN}; tab=1")
        given = await self.get("/my/a", headers={"Cookie": BOB})
        await self.seen("/my/a", **BEARER)
        await self.get("/x", method="POST", headers={"Cookie": f"{ANN}; tab=2"}, source="127.0.0.3")
        await self.get("/x", method="POST", headers=BEARER, source="127.0.0.3")
        await self.flip(EdgeState.SHIELDED)
        await self.assert_held("/my/a", ANN)
        await self.assert_held("/my/a", f"{ANN}; tab=1")
        await self.assert_waits("/my/a", headers=BEARER)
        self.assertEqual(given.body, (await self.asks("/my/a", BOB)).body)

    async def test_a_logout_ends_them(self) -> None:
        await self.seen("/my/a", Cookie=ANN)
        await self.get("/logout", headers={"Cookie": f"{ANN}; x=1"})
        await self.flip(EdgeState.SHIELDED)
        await self.assert_held("/my/a", ANN)

    async def test_a_login_that_only_scripts_read_is_none(self) -> None:
        everything = Rule(private=True, login_cookies=("*",))
        await self.set_policy(
            Policy(consent=(Consent.PRIVATE,), own=(everything,), inherited=DEFAULT)
        )
        await self.seen("/my/a", Cookie="_ga=1")
        await self.flip(EdgeState.SHIELDED)
        for cookie in ("_ga=1", "_ga=2", ""):
            await self.assert_held("/my/a", cookie)

    async def test_without_consent_nothing_is_kept(self) -> None:
        await self.set_policy(Policy(inherited=self.policy.own))
        await self.seen("/my/a", Cookie=ANN)
        await self.flip(EdgeState.SHIELDED)
        await self.assert_held("/my/a", ANN)
