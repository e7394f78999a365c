"""Users find a warmed page in the silence only if strangers were seen to get the same."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from nova_cachemig.model.phase import EdgeState
from nova_cachemig.model.policy import Policy, Rule
from nova_cachemig.model.service import Route, Service
from tests.functional.engine.rig import SERVICE
from tests.functional.warm.test_real_cache import WarmCase

FIREFOX = {
    "User-Agent": "Mozilla/5.0 (Windows NT 10.0; rv:139.0) Gecko/20100101 Firefox/139.0",
    "Accept": "text/html,*/*;q=0.8",
    "Accept-Language": "nl,en;q=0.5",
    "Cookie": "_ga=GA1.1.7.7",
    "Referer": "http://shop.example/other",
    "X-Forwarded-For": "10.9.8.7",
}


class ProofTest(WarmCase):
    async def warm_pages(self, **depends: tuple[str, ...]) -> None:
        self.guest.depends = {f"/{name}": headers for name, headers in depends.items()}
        self.record_access(*self.guest.depends)
        await self.flip(EdgeState.ARMED)
        self.counts = await self.warm()

    async def finds(self, url: str, headers: Mapping[str, str]) -> bool:
        response = await self.found(url, headers=headers)
        return response is not None and "cachemig; hit" in response.headers["cache-status"]

    async def test_a_page_that_is_alike_is_for_all_who_identify_nobody(self) -> None:
        await self.warm_pages(a=())
        self.assertEqual((1, 1), (self.counts.fetched, self.counts.proved))
        self.assertEqual(3, self.guest.count("/a"))
        for headers in ({}, FIREFOX):
            self.assertTrue(await self.finds("/a", headers), headers)
        for headers in ({"Cookie": "sid=1"}, {"Authorization": "Basic eA=="}, {"X-Api-Key": "k"},
                        {"X-Requested-With": "XMLHttpRequest"}):  # fmt: skip
            self.assertFalse(await self.finds("/a", headers), headers)

    async def test_a_page_by_language_is_for_the_same_language(self) -> None:
        await self.warm_pages(a=("accept-language",))
        self.assertEqual(1, self.counts.proved)
        warmed = self.guest.seen[0].headers["accept-language"]
        self.assertTrue(await self.finds("/a", FIREFOX | {"Accept-Language": warmed}))
        self.assertFalse(await self.finds("/a", FIREFOX))
        self.assertFalse(await self.finds("/a", {}))

    async def test_a_page_that_depends_on_who_asks_is_for_nobody_else(self) -> None:
        by = {"browser": "user-agent", "address": "x-forwarded-for", "cookie": "cookie",
              "kind": "accept", "origin": "referer", "hint": "sec-ch-ua-mobile"}  # fmt: skip
        await self.warm_pages(**{name: (header,) for name, header in by.items()})
        self.assertEqual((0, 6), (self.counts.fetched, self.counts.dependent))
        for name in by:
            first = next(r for r in self.guest.seen if r.url == f"/{name}").headers
            same = {n: first[n] for n in ("user-agent", "accept", "accept-language")}
            self.assertFalse(await self.finds(f"/{name}", FIREFOX), name)
            self.assertFalse(await self.finds(f"/{name}", same), name)

    async def test_a_page_with_a_token_is_for_nobody(self) -> None:
        await self.warm_pages(a=("token",))
        self.assertEqual((0, 1), (self.counts.fetched, self.counts.changing))
        self.assertFalse(await self.finds("/a", {}))

    async def test_a_page_that_declares_its_browser_is_for_the_commonest(self) -> None:
        self.guest.rules["/a"] = {"Vary": "User-Agent"}
        await self.warm_pages(a=("user-agent",))
        warmed = self.guest.seen[0].headers["user-agent"]
        self.assertTrue(await self.finds("/a", FIREFOX | {"User-Agent": warmed}))
        self.assertFalse(await self.finds("/a", FIREFOX))

    async def test_a_static_page_needs_no_proof(self) -> None:
        policy = Policy(own=(Rule(paths=("/static/*",), static=True),))
        service = self.a_service(policy=policy)
        await self.engine.apply([Route(service, self.guest.target)])
        self.warmer.set_services([service])
        self.record_access("/static/a.css")
        await self.flip(EdgeState.ARMED)
        counts = await self.warm()
        self.assertEqual((1, 0), (counts.fetched, counts.proved))
        self.assertEqual(1, self.guest.count("/static/a.css"))
        self.assertTrue(await self.finds("/static/a.css", FIREFOX | {"Cookie": "sid=1"}))

    async def test_the_old_page_is_used_until_its_successor_is_proved(self) -> None:
        await self.warm_pages(a=())
        self.guest.depends = {"/a": ("token",)}
        await self.warm()
        response = await self.found("/a")
        assert response is not None
        self.assertEqual(b"page /a", response.body)

    async def test_strangers_are_as_the_users_in_the_log(self) -> None:
        accesses = self.engine.accesses()
        await self.log_is_read()
        await self.get("/a", headers=FIREFOX)
        record = await anext(accesses)
        for client in ("192.0.2.1", "192.0.2.2"):
            self.warmer.record_access(dataclasses.replace(record, client=client))
        self.record_access("/b")
        await self.flip(EdgeState.ARMED)
        await self.warm()
        first = next(r for r in self.guest.seen if r.url == "/b").headers
        for name in ("User-Agent", "Accept", "Accept-Language"):
            self.assertEqual(FIREFOX[name], first[name.lower()])

    def a_service(self, name: str = SERVICE, **fields: object) -> Service:
        default = Rule(script_cookies=("_ga*",))
        return super().a_service(name, **{"policy": Policy(inherited=(default,)), **fields})
