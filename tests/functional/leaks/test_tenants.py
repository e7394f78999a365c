"""Two tenants on one address: no hostile host and no field of the edge's own crosses over."""

from __future__ import annotations

import asyncio
import contextlib

from nova_cachemig.model.phase import EdgeState
from nova_cachemig.model.service import Route
from tests.functional.engine.rig import EngineCase
from tests.functional.engine.servers import Guest, loopback

_OWN = "one.example"
_OTHER = "two.example"

_HOSTS = [
    f"Host: {_OWN}, {_OTHER}",
    f"Host: {_OTHER}, {_OWN}",
    f"Host: {_OWN}\r\nHost: {_OTHER}",
    f"Host: {_OTHER}\r\nHost: {_OWN}",
    f"Host: {_OWN}@{_OTHER}",
    f"Host: {_OTHER}@{_OWN}",
    f"Host: {_OWN}:80@{_OTHER}",
    f"Host: {_OWN} {_OTHER}",
    f"Host: {_OWN}\t{_OTHER}",
    f"Host: {_OWN}/{_OTHER}",
    f"Host: {_OWN}#{_OTHER}",
    f"Host: {_OWN}?{_OTHER}",
    f"Host: {_OWN}|two",
    f"Host: {_OWN};{_OTHER}",
    f"Host: {_OWN}\x00{_OTHER}",
    f"Host: {_OWN}\r\n {_OTHER}",
    f"Host : {_OTHER}\r\nHost: {_OWN}",
    f"Host: {_OWN}\r\nX-Forwarded-Host: {_OTHER}",
    f"Host: {_OWN}\r\nX-Host: {_OTHER}",
    f"Host: {_OWN}\r\nForwarded: host={_OTHER}",
    f"Host: {_OWN}\r\nX-Original-URL: http://{_OTHER}/page",
]

_INTERNAL = [
    f"Host: {_OWN}\r\n{name}: {value}"
    for name, value in (
        ("X-Cachemig-Service", "two"),
        ("x-cachemig-service", "two"),
        ("X-CACHEMIG-SERVICE", "two"),
        ("X-Cachemig-Service\r\nX-Cachemig-Service", "two"),
        ("X-Cachemig-Host", _OTHER),
        ("X-Cachemig-Client", "127.0.0.9"),
        ("X-Cachemig-State", "shielded"),
        ("X-Cachemig-State", "warm"),
        ("X-Cachemig-Generation", "1"),
        ("X-Cachemig-Epoch", "0.0"),
        ("X-Cachemig-Since", "0"),
        ("X-Cachemig-Served", "hit"),
        ("X-Cachemig-Held", "1"),
        ("X-Cachemig-Slot", "shared"),
        ("Connection", "X-Cachemig-Service"),
        ("Connection", "close, X-Cachemig-Service, X-Cachemig-State, X-Cachemig-Host"),
        ("Connection", "Host"),
    )
]

_TARGETS = [
    f"http://{_OTHER}/page",
    f"http://{_OTHER}:80/page",
    f"http://{_OWN}@{_OTHER}/page",
    f"http://{_OTHER}@{_OWN}/page",
    f"HTTP://{_OTHER}/page",
    f"//{_OTHER}/page",
    f"/page@{_OTHER}",
    f"http:///{_OTHER}/page",
]


class TwoTenants(EngineCase):
    """The other tenant's page is stored, and says who it belongs to."""

    async def asyncSetUp(self) -> None:
        await super().asyncSetUp()
        self.other = Guest()
        await self.other.start(loopback())
        self.addAsyncCleanup(self.other.stop)
        for guest, mark in ((self.guest, b"page of one"), (self.other, b"page of two")):
            guest.bodies = dict.fromkeys(("/page", f"//{_OTHER}/page"), mark)
            guest.rules = {url: {"Cache-Control": "public, max-age=600"} for url in guest.bodies}
        one = self.a_service("one", hosts=(_OWN,))
        two = self.a_service(
            "two", hosts=(_OTHER,), instance="9" * 8 + "-0000-4000-8000-" + "9" * 12
        )
        await self.engine.apply([self.route(one), Route(two, self.other.target)])
        self.service = one

    async def ask(self, target: str, lines: str) -> bytes:
        """Return all that comes back within a moment, also if the request is held."""
        reader, writer = await asyncio.open_connection(*self.edge)
        writer.write(f"GET {target} HTTP/1.1\r\n{lines}\r\nX-Mark: hostile\r\n\r\n".encode())
        got = b""
        with contextlib.suppress(TimeoutError, ConnectionError):
            async with asyncio.timeout(0.3):
                while data := await reader.read(1 << 16):
                    got += data
        writer.close()
        return got

    async def nothing_crosses(self) -> None:
        """Send each hostile request; the other tenant's host in its plain form is no attack."""
        hostile = [("/page", lines) for lines in (*_HOSTS, *_INTERNAL)]
        hostile += [(target, f"Host: {_OWN}") for target in _TARGETS]
        got = await asyncio.gather(*(self.ask(*one) for one in hostile))
        crossed = {one for one, data in zip(hostile, got, strict=True) if b"page of two" in data}
        reached = [one.url for one in self.other.seen if one.headers.get("x-mark") == "hostile"]
        self.assertEqual((set(), []), (crossed, reached))
        for request in self.guest.seen:
            self.assertEqual([], [name for name in request.headers if "cachemig" in name])

    async def both(self, state: EdgeState) -> None:
        for name in ("one", "two"):
            await self.engine.set_state(name, state)

    async def test_idle(self) -> None:
        await self.nothing_crosses()

    async def test_armed(self) -> None:
        await self.both(EdgeState.ARMED)
        await self.get("/page", headers={"Host": _OTHER})
        await self.nothing_crosses()

    async def test_shielded(self) -> None:
        await self.both(EdgeState.ARMED)
        await self.get("/page", headers={"Host": _OTHER})
        await self.both(EdgeState.SHIELDED)
        await self.nothing_crosses()

    async def test_nothing_hostile_is_stored_for_the_other_tenant(self) -> None:
        await self.both(EdgeState.ARMED)
        await self.nothing_crosses()
        await self.both(EdgeState.SHIELDED)
        got = await self.ask("/page", f"Host: {_OTHER}")
        self.assertNotIn(b"page of one", got)
