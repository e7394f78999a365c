"""Preflights: in the silence, the response is the guest's last one to the same preflight."""

from __future__ import annotations

import asyncio

from nova_cachemig.model.phase import EdgeState
from tests.functional.engine.rig import EngineCase
from tests.functional.engine.servers import Response

PREFLIGHT = {
    "Origin": "https://app.example",
    "Access-Control-Request-Method": "PUT",
    "Access-Control-Request-Headers": "content-type",
}
PERMISSION = {
    "Access-Control-Allow-Origin": "https://app.example",
    "Access-Control-Allow-Methods": "GET, PUT",
    "Access-Control-Allow-Headers": "content-type",
    "Access-Control-Max-Age": "600",
    "Vary": "Origin",
}
OTHER = "127.0.0.2"
THIRD = "127.0.0.3"


class PreflightCase(EngineCase):
    async def asyncSetUp(self) -> None:
        await super().asyncSetUp()
        self.permit("/item")

    def permit(self, path: str, **headers: str) -> None:
        """Let the guest respond to preflights of a page; a header without a value is left out."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.guest.rules[path] = {k: v for k, v in {**PERMISSION, **named}.items() if v}
        self.guest.bodies[path] = b""

    async def ask(self, url: str = "/item", source: str | None = None, **headers: str) -> Response:
        """Send a preflight; a header without a value is left out."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.get(
            url, method="OPTIONS", headers={**PREFLIGHT, **named}, source=source, timeout=10
        )

    async def kept(self, url: str = "/item", source: str | None = None, **headers: str) -> bool:
        """Ask in a short silence: tell whether the edge responds without the guest."""
        before, state = len(self.guest.seen), self.engine.state(self.service.name)
        await self.flip(EdgeState.SHIELDED)
        asking = asyncio.create_task(self.ask(url, source, **headers))
        held = asyncio.create_task(self.holding(1))
        await asyncio.wait((asking, held), return_when=asyncio.FIRST_COMPLETED)
        held.cancel()
        found = asking.done()
        await self.flip(state)
        response = await asking
        self.assertEqual(found, "hit" in response.headers.get("cache-status", ""), response)
        self.assertEqual(0 if found else 1, len(self.guest.seen) - before)
        return found


class Preflights(PreflightCase):
    async def test_the_last_response_is_used_in_the_silence_only(self) -> None:
        await self.ask()
        await self.flip(EdgeState.ARMED)
        self.assertFalse(await self.kept(), "seen before the handover")
        armed = await self.ask()
        self.assertNotIn("cache-status", armed.headers)
        before = len(self.guest.seen)
        await self.flip(EdgeState.SHIELDED)
        shielded = await self.ask()
        self.assertEqual(before, len(self.guest.seen))
        self.assertEqual((200, b""), (shielded.status, shielded.body))
        for name, value in PERMISSION.items():
            self.assertEqual(value, shielded.headers[name.lower()])
        self.assertEqual("cachemig; hit; detail=preflight", shielded.headers["cache-status"])
        self.assertLess(int(shielded.headers["age"]), 5)
        self.assertTrue(shielded.headers["date"].endswith("GMT"))
        self.assertFalse([name for name in shielded.headers if name.startswith("x-cachemig")])
        for state in (EdgeState.REPLAY, EdgeState.DRAIN, EdgeState.ARMED, EdgeState.PASS):
            await self.flip(state)
            self.assertNotIn("cache-status", (await self.ask()).headers, state)
        self.assertEqual(before + 4, len(self.guest.seen))

    async def test_another_handover_begins_with_none(self) -> None:
        await self.flip(EdgeState.ARMED)
        await self.ask()
        await self.flip(EdgeState.PASS)
        await self.flip(EdgeState.ARMED)
        self.assertFalse(await self.kept())

    async def test_only_the_same_preflight(self) -> None:
        await self.flip(EdgeState.ARMED)
        await self.ask()
        self.assertTrue(await self.kept())
        for different in (
            {"Origin": "https://evil.example"},
            {"Access_Control_Request_Method": "DELETE"},
            {"Access_Control_Request_Headers": "content-type,x-other"},
            {"Access_Control_Request_Headers": ""},
            {"Access_Control_Request_Private_Network": "true"},
            {"X_Forwarded_Proto": "https"},
            {"Accept_Encoding": "br"},
            {"Host": "other.example"},
        ):
            self.assertFalse(await self.kept(**different), different)
        self.assertFalse(await self.kept("/item?x=1"))
        await self.ask(Origin="https://app.example")
        self.assertTrue(await self.kept())

    async def test_requests_that_are_no_preflights_or_have_credentials(self) -> None:
        await self.flip(EdgeState.ARMED)
        for one in (
            {"Origin": ""},
            {"Access_Control_Request_Method": ""},
            {"Cookie": "session=1"},
            {"Authorization": "Bearer abc"},
            {"Proxy_Authorization": "Basic dXNlcjpwYXNz"},
            {"X_Api_Key": "abc"},
        ):
            await self.ask(**one)
            self.assertFalse(await self.kept(**one), one)

    async def test_responses_that_are_not_kept(self) -> None:
        await self.flip(EdgeState.ARMED)
        for number, headers in enumerate((
            {"Access_Control_Allow_Origin": ""},
            {"Access_Control_Max_Age": "0"},
            {"Access_Control_Max_Age": "-1"},
            {"Set_Cookie": "a=b"},
            {"Vary": "Origin, *"},
            {"Cache_Control": "no-store"},
            {"Cache_Control": "private, max-age=60"},
            {"Cache_Control": "max-age = 0"},
            {"CDN_Cache_Control": "no-store"},
            {"X_Large": "x" * 9000},
        )):  # fmt: skip
            self.permit(f"/{number}", **headers)
            await self.ask(f"/{number}")
            self.assertFalse(await self.kept(f"/{number}"), headers)
        for status in (302, 401, 403, 404, 500):
            self.permit(f"/{status}")
            self.guest.statuses[f"/{status}"] = status
            await self.ask(f"/{status}")
            self.assertFalse(await self.kept(f"/{status}"), status)

    async def test_a_refusal_ends_the_permission(self) -> None:
        await self.flip(EdgeState.ARMED)
        await self.ask()
        self.guest.statuses["/item"] = 403
        await self.ask()
        self.assertFalse(await self.kept())

    async def test_a_response_with_a_body_is_used_whole(self) -> None:
        await self.flip(EdgeState.ARMED)
        self.permit("/api", Allow="GET, PUT")
        self.guest.bodies["/api"] = '{"routes": "ü"}'.encode() * 100
        await self.ask("/api")
        await self.flip(EdgeState.SHIELDED)
        self.assertEqual(self.guest.bodies["/api"], (await self.ask("/api")).body)

    async def test_a_body_that_the_edge_cannot_send(self) -> None:
        await self.flip(EdgeState.ARMED)
        self.guest.bodies["/item"] = b"A\x00B"
        await self.ask()
        self.assertFalse(await self.kept())

    async def test_no_content(self) -> None:
        self.guest.statuses["/item"] = 204
        await self.flip(EdgeState.ARMED)
        await self.ask()
        await self.flip(EdgeState.SHIELDED)
        response = await self.ask()
        self.assertEqual(204, response.status)
        self.assertNotIn("content-length", response.headers)


class Sharing(PreflightCase):
    async def test_others_get_what_two_clients_got_alike(self) -> None:
        await self.flip(EdgeState.ARMED)
        await self.ask()
        await self.ask()
        self.assertFalse(await self.kept(source=THIRD))
        self.permit("/item")
        await self.flip(EdgeState.PASS)
        await self.flip(EdgeState.ARMED)
        await self.ask()
        await self.ask(source=OTHER)
        self.assertTrue(await self.kept(source=THIRD))
        self.assertFalse(await self.kept(source=THIRD, User_Agent="another"))

    async def test_a_difference_ends_it(self) -> None:
        await self.flip(EdgeState.ARMED)
        await self.ask()
        await self.ask(source=OTHER)
        self.permit("/item", X_For="one")
        await self.ask()
        self.assertFalse(await self.kept(source=THIRD))
        self.assertTrue(await self.kept(source=OTHER), "its own")

    async def test_many_entries_do_not_end_new_ones(self) -> None:
        await self.flip(EdgeState.ARMED)
        for number in range(600):
            await self.ask(Origin=f"https://{number}.example")
        self.assertTrue(await self.kept(Origin="https://599.example"))
        self.assertFalse(await self.kept(Origin="https://0.example"))


class Writes(PreflightCase):
    async def test_a_write_to_the_page_ends_it_after_its_time(self) -> None:
        self.permit("/brief", Access_Control_Max_Age="1")
        await self.flip(EdgeState.ARMED)
        for url in ("/item", "/brief"):
            await self.ask(url)
        await asyncio.sleep(2.1)
        self.assertTrue(await self.kept("/brief"), "nothing was written")
        for url in ("/item", "/brief"):
            await self.get(url, method="PUT", body=b"x")
        self.assertTrue(await self.kept("/item"), "as a browser would keep it")
        self.assertFalse(await self.kept("/brief"))

    async def test_a_write_that_waits(self) -> None:
        self.permit("/brief", Access_Control_Max_Age="1")
        await self.flip(EdgeState.ARMED)
        for url in ("/item", "/brief"):
            await self.ask(url)
            await self.set_pending(f"url:{url}", on=True)
        await asyncio.sleep(2.1)
        await self.flip(EdgeState.SHIELDED)
        self.assertEqual(200, (await self.ask()).status)
        asking = asyncio.create_task(self.ask("/brief"))
        await self.holding(1)
        asking.cancel()
