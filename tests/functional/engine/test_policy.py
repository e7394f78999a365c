"""The effect of a service's policy at the edge and in the cache, with real engines."""

from __future__ import annotations

import asyncio

from nova_cachemig.agent.engine.warming import warm_headers
from nova_cachemig.agent.services import presets
from nova_cachemig.model.phase import EdgeState
from nova_cachemig.model.policy import Consent, Policy, Rule
from tests.functional.engine.rig import SERVICE, EngineCase
from tests.functional.engine.servers import Response, fetch

FRESH = {"Cache-Control": "public, max-age=600"}
BROWSER = {
    "User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:146.0) Gecko/20100101 Firefox/146.0",
    "Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    "Accept-Language": "en-US,en;q=0.5",
    "Accept-Encoding": "gzip, deflate",
    "Upgrade-Insecure-Requests": "1",
    "Sec-Fetch-Dest": "document",
    "Sec-Fetch-Mode": "navigate",
    "Sec-Fetch-Site": "none",
    "Sec-Fetch-User": "?1",
    "Priority": "u=0, i",
}
DEFAULT = presets.load()["default"]


class PolicyCase(EngineCase):
    """``self.policy`` is the policy of the service."""

    policy = Policy(inherited=DEFAULT)

    async def asyncSetUp(self) -> None:
        await super().asyncSetUp()
        await self.set_policy(self.policy)

    async def get(self, url: str, **kwargs: object) -> Response:
        """Ask as a browser does."""
        headers = BROWSER | kwargs.pop("headers", {})  # type: ignore[operator]
        return await super().get(url, headers=headers, **kwargs)

    async def set_policy(self, policy: Policy) -> None:
        self.service = self.a_service(policy=policy)
        await self.engine.apply([self.route(self.service)])

    async def asks(self, url: str, cookie: str = "") -> Response:
        armed = self.engine.state(SERVICE) is EdgeState.ARMED
        ask = self.stored if armed else self.get
        return await ask(url, headers={"Cookie": cookie})

    async def assert_held(self, url: str, cookie: str = "") -> None:
        """Check that the silence has no page for this request, which the guest gets later."""
        waiting = asyncio.create_task(self.asks(url, cookie))
        await self.holding(1)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        await self.holding(0)


class Cookies(PolicyCase):
    async def test_cookies_that_only_scripts_read_are_not_in_the_key(self) -> None:
        self.guest.rules["/a"] = FRESH | {"Vary": "Cookie"}
        await self.flip(EdgeState.ARMED)
        first = await self.asks("/a", "_ga=GA1.2.3; sid=7; _gid=x")
        self.assertEqual("sid=7; _ga=GA1.2.3; _gid=x", self.guest.seen[-1].headers["cookie"])
        await self.flip(EdgeState.SHIELDED)
        for cookie in ("sid=7", "sid=7; _pk_id.1.2=z", "_ga_ABC=1;sid=7"):
            self.assertEqual(first.body, (await self.asks("/a", cookie)).body, cookie)
        for cookie in ("", "_ga=1", "sid=8", "sid=7; gax=1"):
            await self.assert_held("/a", cookie)

    async def test_a_request_with_only_such_cookies_is_as_one_without(self) -> None:
        self.guest.rules["/a"] = FRESH | {"Vary": "Cookie"}
        await self.flip(EdgeState.ARMED)
        first = await self.asks("/a", "_ga=GA1.2.3")
        self.assertEqual("_ga=GA1.2.3", self.guest.seen[-1].headers["cookie"])
        await self.flip(EdgeState.SHIELDED)
        self.assertEqual(first.body, (await self.asks("/a")).body)
        self.assertEqual(first.body, (await self.asks("/a", "__utmz=1; _fbp=2")).body)

    async def test_a_held_request_arrives_with_all_its_cookies(self) -> None:
        await self.flip(EdgeState.SHIELDED)
        waiting = [
            asyncio.create_task(self.asks(f"/held{n}", cookie))
            for n, cookie in enumerate(("_ga=1; sid=7", "_ga=1", "sid=7"))
        ]
        await self.holding(3)
        await self.flip(EdgeState.REPLAY)
        await asyncio.gather(*waiting)
        got = {request.url: request.headers["cookie"] for request in self.guest.seen}
        self.assertEqual(
            {"/held0": "sid=7; _ga=1", "/held1": "_ga=1", "/held2": "sid=7"},
            {url: cookie for url, cookie in got.items() if url.startswith("/held")},
        )

    async def test_clients_cannot_set_the_headers_of_the_policy(self) -> None:
        self.guest.rules["/a"] = {"Cache-Control": "no-cache"}
        await self.flip(EdgeState.ARMED)
        forged = {"X-Cachemig-Scripts": "sid=9", "X-Cachemig-Rule": "stale"}
        await self.get("/a", headers=forged)
        self.assertNotIn("cookie", self.guest.seen[-1].headers)
        await self.flip(EdgeState.SHIELDED)
        await self.assert_held("/a")


class Queries(PolicyCase):
    async def test_ignored_parameters_are_not_in_the_key(self) -> None:
        self.guest.rules["/a"] = FRESH
        await self.flip(EdgeState.ARMED)
        first = await self.asks("/a?utm_source=mail&p=1&gclid=2")
        self.assertEqual("/a?utm_source=mail&p=1&gclid=2", self.guest.seen[-1].url)
        await self.flip(EdgeState.SHIELDED)
        for url in ("/a?p=1", "/a?p=1&utm_medium=x", "/a?fbclid=3&p=1"):
            self.assertEqual(first.body, (await self.asks(url)).body, url)
        for url in ("/a", "/a?p=2", "/a?p=1&utm=1"):
            await self.assert_held(url)

    async def test_a_write_makes_all_of_them_stale(self) -> None:
        self.guest.rules["/a"] = FRESH
        for written in ("/a", "/a?utm_source=form"):
            for url in ("/a", "/a?utm_source=mail"):
                with self.subTest(written=written, url=url):
                    await self.flip(EdgeState.ARMED)
                    await self.asks(url)
                    self.assertIsNotNone(await self.found(url))
                    self.assertEqual(200, (await self.get(written, method="POST")).status)
                    self.assertIsNone(await self.found(url))
                    await self.flip(EdgeState.PASS)

    async def test_a_journalled_write_makes_all_of_them_stale(self) -> None:
        self.guest.rules["/a"] = FRESH
        await self.flip(EdgeState.ARMED)
        await self.asks("/a?utm_source=mail")
        await self.flip(EdgeState.SHIELDED)
        await self.invalidate("shop.example", ["/a?utm_source=form"])
        await self.assert_held("/a")

    async def test_reads_wait_for_a_journalled_write_to_any_of_them(self) -> None:
        await self.flip(EdgeState.REPLAY)
        keys = ("url:/a", "url:/a?gclid=1")
        for key in keys:
            await self.set_pending(key, True)
        await self.assert_held("/a?utm_source=mail")
        await self.set_pending(keys[0], False)
        await self.assert_held("/a?utm_source=mail")  # the other write still waits
        await self.set_pending(keys[1], False)
        self.assertEqual(200, (await self.asks("/a?utm_source=mail")).status)


class Never(PolicyCase):
    policy = Policy(own=(Rule(paths=("/admin/*", "*?*do=edit*"), never=True),), inherited=DEFAULT)

    async def test_it_is_not_stored(self) -> None:
        urls = ("/admin/x", "/%61dmin/x", "/page?do=edit&x=1")
        for url in urls:
            self.guest.rules[url.partition("?")[0]] = FRESH
        await self.flip(EdgeState.ARMED)
        for url in urls:
            first, second = await self.asks(url), await self.asks(url)
            self.assertNotEqual(first.body, second.body)
            self.assertNotIn("cache-status", second.headers)
        stored = await self.asks("/page")
        await self.flip(EdgeState.SHIELDED)
        for url in urls:
            await self.assert_held(url)
        self.assertEqual(stored.body, (await self.asks("/page")).body)

    async def test_the_warmer_does_not_get_it(self) -> None:
        await self.flip(EdgeState.ARMED)
        headers = dict(warm_headers(SERVICE, "shop.example"))
        refused = await fetch(self.engine.cache_socket, "/admin/x", headers=headers)
        self.assertEqual((204, "pass"), (refused.status, refused.headers["x-cachemig-served"]))
        self.assertEqual([], self.guest.seen)

    async def test_a_changed_policy_applies_at_once(self) -> None:
        self.guest.rules["/admin/x"] = self.guest.rules["/new"] = FRESH
        await self.set_policy(Policy(own=(Rule(paths=("/new",), never=True),)))
        await self.flip(EdgeState.ARMED)
        stored = await self.asks("/admin/x")
        await self.asks("/new")
        await self.flip(EdgeState.SHIELDED)
        self.assertEqual(stored.body, (await self.asks("/admin/x")).body)
        await self.assert_held("/new")

    async def test_a_policy_of_the_largest_size(self) -> None:
        globs = tuple(f"/{number}/" + "x%41*" * 50 for number in range(64))
        rules = tuple(Rule(paths=globs, never=True) for _ in range(3))
        await self.set_policy(Policy(own=(*rules, Rule(paths=("/end",), never=True))))
        self.guest.rules["/end"] = self.guest.rules["/"] = FRESH
        await self.flip(EdgeState.ARMED)
        await self.asks("/end")
        stored = await self.asks("/")
        await self.flip(EdgeState.SHIELDED)
        await self.assert_held("/end")
        self.assertEqual(stored.body, (await self.asks("/")).body)


class Static(PolicyCase):
    policy = Policy(own=(Rule(paths=("/static/*",), static=True),), inherited=DEFAULT)

    async def test_it_is_the_same_whatever_the_cookies(self) -> None:
        self.guest.rules["/static/a.css"] = FRESH | {"Vary": "Cookie"}
        await self.flip(EdgeState.ARMED)
        first = await self.asks("/static/a.css?v=1", "sid=7; _ga=1")
        self.assertEqual("sid=7; _ga=1", self.guest.seen[-1].headers["cookie"])
        await self.flip(EdgeState.SHIELDED)
        for cookie in ("", "sid=8", "x=1; y=2"):
            self.assertEqual(first.body, (await self.asks("/static/a.css?v=1", cookie)).body)
        await self.assert_held("/static/a.css?v=2")

    async def test_only_a_file_that_exists_is_shared(self) -> None:
        for status in (404, 301):
            self.guest.statuses["/static/a.css"] = status
            self.guest.rules["/static/a.css"] = FRESH
            await self.flip(EdgeState.ARMED)
            await self.asks("/static/a.css", "sid=7")
            await self.flip(EdgeState.SHIELDED)
            await self.assert_held("/static/a.css", "sid=8")
            await self.flip(EdgeState.PASS)

    async def test_what_is_private_stays_private(self) -> None:
        for control in ({"Cache-Control": "private, max-age=60"}, FRESH | {"Set-Cookie": "a=b"}):
            self.guest.rules["/static/a.css"] = control
            await self.flip(EdgeState.ARMED)
            await self.asks("/static/a.css", "sid=7")
            await self.flip(EdgeState.SHIELDED)
            await self.assert_held("/static/a.css", "sid=7")
            await self.flip(EdgeState.PASS)


class Counted(PolicyCase):
    policy = Policy(
        own=(Rule(paths=("/static/*",), static=True), Rule(paths=("/admin/*",), never=True)),
        inherited=(Rule(script_cookies=("_ga*",), ignore_query=("utm_*",), origin="default"),),
    )

    async def test_what_each_rule_did_and_why_the_rest_was_held(self) -> None:
        self.guest.rules["/static/a.css"] = self.guest.rules["/a"] = FRESH
        await self.log_is_read()
        await self.flip(EdgeState.ARMED)
        await self.asks("/static/a.css", "sid=7")
        await self.asks("/a")
        await self.warm_page("/b")
        await self.flip(EdgeState.SHIELDED)
        await self.asks("/static/a.css", "sid=8")
        await self.asks("/a?utm_source=x", "_ga=1")
        await self.asks("/b")
        held = [
            ("/admin/x", "", {}), ("/mine", "sid=7", {}), ("/c?utm_source=y", "", {}),
            ("/d", "", {"X-Requested-With": "x"}), ("/b", "", {"X-Forwarded-Proto": "https"}),
            ("/static/b.css", "", {}),
        ]  # fmt: skip
        waiting = [
            asyncio.create_task(self.get(url, headers={"Cookie": cookie, **headers}))
            for url, cookie, headers in held
        ]
        await self.holding(len(held))
        await self.get("/w", method="POST", headers={"Cookie": "sid=abcdefghijklmnop"})
        after = asyncio.create_task(self.asks("/a", "sid=abcdefghijklmnop"))
        await self.holding(len(held) + 1)
        await self.flip(EdgeState.REPLAY)
        await asyncio.gather(*waiting, after)
        await self.holding(0)
        wire = self.engine.read_counts(SERVICE).to_wire()
        self.assertEqual({"static": 1, "shared": 1, "warm": 1}, wire["hits"])
        reasons = ("never", "private", "header", "differs", "not stored", "writer")
        self.assertEqual(dict.fromkeys(reasons, 1), wire["held"])
        asked: list[str] = []

        def verdict(host: str, url: str) -> str:
            asked.append(url)
            return "changing"

        self.engine.read_counts(SERVICE).explain(verdict)
        self.assertEqual(["/c"], asked)
        self.assertEqual(1, self.engine.read_counts(SERVICE).to_wire()["held"]["changing"])
        self.assertEqual(
            [
                {"rule": 1, "origin": "service", "hits": 1, "held": 1},
                {"rule": 2, "origin": "service", "held": 1},
                {"rule": 3, "origin": "default", "hits": 1, "held": 1},
            ],
            wire["rules"],
        )


class Sampled(PolicyCase):
    async def test_some_requests_have_the_names_of_their_cookies_and_never_a_value(self) -> None:
        await self.log_is_read()
        records = self.engine.accesses()
        for _ in range(10):
            await asyncio.gather(
                *(self.asks("/a", "sid=secret=x; secret; _ga=GA1.2.3") for _ in range(10))
            )
            await asyncio.gather(*(self.asks("/b") for _ in range(10)))
        named: dict[str, set[tuple[str, ...] | None]] = {"/a": set(), "/b": set()}
        for _ in range(200):
            record = await anext(records)
            self.assertNotIn("secret", repr(record))
            named[record.url].add(record.cookies)
        self.assertEqual({"/a": {None, ("sid", "_ga")}, "/b": {None, ()}}, named)


class Stale(PolicyCase):
    policy = Policy(
        consent=(Consent.STALE,),
        own=(Rule(paths=("/api/*",), stale=True),),
        inherited=DEFAULT,
    )

    RULES = (
        {"Cache-Control": "no-cache"},
        {"Cache-Control": "max-age=0, must-revalidate"},
        {"Cache-Control": "s-maxage=0"},
        {"Pragma": "no-cache"},
    )

    async def test_it_is_used_in_the_silence_only(self) -> None:
        for number, rule in enumerate(self.RULES):
            page, other = f"/api/{number}", f"/{number}"
            with self.subTest(rule):
                self.guest.rules[page] = self.guest.rules[other] = rule
                await self.flip(EdgeState.ARMED)
                stored, later = await self.asks(page), await self.asks(page)
                self.assertNotEqual(stored.body, later.body)
                await self.asks(other)
                await self.flip(EdgeState.SHIELDED)
                answers = [await self.asks(page) for _ in range(2)]
                self.assertEqual({stored.body}, {answer.body for answer in answers})
                self.assertNotIn("x-cachemig-only", answers[0].headers)
                await self.assert_held(other)
                await self.flip(EdgeState.REPLAY)
                self.assertNotEqual(stored.body, (await self.asks(page)).body)
                await self.flip(EdgeState.PASS)

    async def test_a_redirect_without_a_lifetime(self) -> None:
        for url in ("/api/moved", "/moved"):
            self.guest.statuses[url] = 302
            self.guest.rules[url] = {"Location": "/elsewhere"}
        await self.flip(EdgeState.ARMED)
        for url in ("/api/moved", "/moved"):
            await self.asks(url)
        await self.flip(EdgeState.SHIELDED)
        found = await self.asks("/api/moved")
        self.assertEqual((302, "/elsewhere"), (found.status, found.headers["location"]))
        await self.assert_held("/api/moved", "sid=1")
        await self.assert_held("/moved")

    async def test_no_store_and_private_stay(self) -> None:
        for control in ("no-store", "private, no-cache", "no-cache, no-store"):
            self.guest.rules["/api/a"] = {"Cache-Control": control}
            await self.flip(EdgeState.ARMED)
            await self.asks("/api/a")
            await self.flip(EdgeState.SHIELDED)
            await self.assert_held("/api/a")
            await self.flip(EdgeState.PASS)

    async def test_a_request_that_may_name_its_user_gets_no_stale_page(self) -> None:
        self.guest.rules["/api/a"] = {"Cache-Control": "no-cache"}
        await self.flip(EdgeState.ARMED)
        for name in ("X-Auth-Token", "X-Api-Key", "X-Forwarded-User", "X-Tenant-Id"):
            await self.get("/api/a", headers={name: "alice"})
        await self.flip(EdgeState.SHIELDED)
        await self.assert_held("/api/a")


class Anonymous(PolicyCase):
    """The owner consents: a user without the cookie ``sid`` is anonymous."""

    policy = Policy(
        consent=(Consent.ANONYMOUS,),
        own=(Rule(login_cookies=("sid",)), Rule(paths=("/admin/*",), never=True)),
        inherited=DEFAULT,
    )

    async def warm(self, url: str) -> Response:
        headers = dict(warm_headers(SERVICE, "shop.example"))
        return await fetch(self.engine.cache_socket, url, headers=headers)

    async def test_a_private_page_of_the_warmer_is_for_all_without_a_login(self) -> None:
        rule = {"Cache-Control": "private, no-store, max-age=0", "Set-Cookie": "c=1"}
        self.guest.rules["/a"] = rule | {"Pragma": "no-cache", "Vary": "Cookie"}
        await self.flip(EdgeState.ARMED)
        warmed = await self.warm("/a")
        self.assertEqual("stored", warmed.headers["x-cachemig-served"])
        for cookie in ("", "lang=de; theme=dark", "sid=7"):
            self.assertNotEqual(warmed.body, (await self.asks("/a", cookie)).body)
        await self.flip(EdgeState.SHIELDED)
        for cookie in ("", "lang=de; theme=dark", "_ga=1", "xsid=3"):
            hit = await self.asks("/a", cookie)
            self.assertEqual(warmed.body, hit.body, cookie)
            self.assertEqual(rule["Cache-Control"], hit.headers["cache-control"])
            self.assertNotIn("set-cookie", hit.headers)
        for cookie in ("sid=7", "lang=de; sid=", "sid"):
            await self.assert_held("/a", cookie)
        for name in ("Authorization", "X-Auth-Token", "X-Forwarded-User"):
            waiting = asyncio.create_task(self.get("/a", headers={name: "Basic x"}))
            await self.holding(1)
            waiting.cancel()
            await self.holding(0)

    async def test_a_redirect_of_the_warmer(self) -> None:
        self.guest.statuses["/a"] = 302
        self.guest.rules["/a"] = {"Location": "/start", "Set-Cookie": "c=1"}
        await self.flip(EdgeState.ARMED)
        self.assertEqual("stored", (await self.warm("/a")).headers["x-cachemig-served"])
        await self.flip(EdgeState.SHIELDED)
        found = await self.asks("/a", "lang=de")
        self.assertEqual((302, "/start"), (found.status, found.headers["location"]))
        self.assertNotIn("set-cookie", found.headers)
        await self.assert_held("/a", "sid=7")

    async def test_what_a_user_was_given_is_for_no_other(self) -> None:
        self.guest.rules["/a"] = {"Cache-Control": "private"}
        await self.flip(EdgeState.ARMED)
        await self.asks("/a", "lang=de")
        await self.flip(EdgeState.SHIELDED)
        await self.assert_held("/a", "lang=de")
        await self.assert_held("/a")

    async def test_a_page_that_the_warmer_does_not_have_can_be_the_users_own(self) -> None:
        self.guest.rules["/a"] = FRESH
        await self.flip(EdgeState.ARMED)
        own = await self.asks("/a", "lang=de")
        await self.flip(EdgeState.SHIELDED)
        self.assertEqual(own.body, (await self.asks("/a", "lang=de")).body)
        await self.assert_held("/a", "lang=fr")

    async def test_the_guest_answers_before_and_after_the_silence(self) -> None:
        self.guest.rules["/a"] = FRESH
        await self.flip(EdgeState.ARMED)
        warmed = await self.warm("/a")
        for state in (EdgeState.ARMED, EdgeState.REPLAY, EdgeState.DRAIN):
            await self.flip(state)
            self.assertNotEqual(warmed.body, (await self.asks("/a")).body)

    async def test_a_write_and_a_rule_end_its_use(self) -> None:
        await self.flip(EdgeState.ARMED)
        await self.warm("/a")
        self.assertEqual(204, (await self.warm("/admin/x")).status)
        await self.get("/a", method="POST")
        await self.flip(EdgeState.SHIELDED)
        await self.assert_held("/a")
        await self.assert_held("/admin/x")

    async def test_without_consent_the_names_of_cookies_change_nothing(self) -> None:
        self.guest.rules["/a"] = {"Cache-Control": "private"}
        await self.set_policy(Policy(inherited=self.policy.own))
        await self.flip(EdgeState.ARMED)
        self.assertEqual("pass", (await self.warm("/a")).headers["x-cachemig-served"])
        await self.flip(EdgeState.SHIELDED)
        await self.assert_held("/a")
