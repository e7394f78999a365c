"""The edge knows the client behind a trusted proxy, and no client chooses who it is."""

from __future__ import annotations

import asyncio

from nova_cachemig.model.phase import EdgeState
from tests.functional.engine.rig import EngineCase
from tests.functional.engine.servers import read_head

PROXY = "127.0.0.1"
STRANGER = "127.0.0.2"
USER = "203.0.113.7"
XFF = "X-Forwarded-For"

BEHIND_A_PROXY: dict[tuple[tuple[str, str], ...], str] = {
    (): PROXY,
    ((XFF, USER),): USER,
    ((XFF, f"198.51.100.1, {USER}"),): USER,
    ((XFF, "198.51.100.1"), (XFF, USER)): USER,
    ((XFF, f"{USER}, 10.9.0.4"),): USER,
    ((XFF, "10.9.0.4"),): "10.9.0.4",
    ((XFF, f" ,{USER} , "),): USER,
    ((XFF, f"{USER}:40312"),): USER,
    ((XFF, "2001:DB8::7"),): "2001:db8::7",
    ((XFF, "[2001:db8::7]:443"),): "2001:db8::7",
    ((XFF, f"{USER}, unknown"),): PROXY,
    ((XFF, f"{USER}, shop.example"),): PROXY,
    ((XFF, f"{USER}, 5"),): PROXY,
    ((XFF, f"{USER}, 0.0.0.0/0"),): PROXY,
    ((XFF, ""),): PROXY,
    (("Forwarded", f"for={USER};proto=https"),): USER,
    (("Forwarded", f"for=198.51.100.1, For={USER};by=10.9.0.4"),): USER,
    (("Forwarded", 'for="[2001:db8::7]:4711"'),): "2001:db8::7",
    (("Forwarded", "for=_hidden"),): PROXY,
    (("Forwarded", "proto=https"),): PROXY,
    ((XFF, USER), ("Forwarded", f"for={USER}")): USER,
    ((XFF, USER), ("Forwarded", "for=198.51.100.1")): PROXY,
    ((XFF, USER), ("Forwarded", "for=unknown")): PROXY,
    ((XFF, ",".join([USER] + ["10.9.0.4"] * 31)),): USER,
    ((XFF, ",".join([USER] + ["10.9.0.4"] * 100)),): "10.9.0.4",
}


class TrustedProxies(EngineCase):
    options: dict[str, object] = {"trusted_proxies": ["127.0.0.1/32", "10.9.0.0/16"]}

    async def asyncSetUp(self) -> None:
        await super().asyncSetUp()
        services = [
            self.a_service("shop", hosts=("shop.example",)),
            self.a_service("none", hosts=("none.example",), trusted_proxies=()),
            self.a_service("own", hosts=("own.example",), trusted_proxies=("127.0.0.2/31",)),
        ]
        self.service = services[0]
        self.assertEqual({}, await self.engine.apply([self.route(one) for one in services]))

    async def send(self, peer: str, method: str, url: str, host: str, *lines: tuple[str, str]):
        """Send a request from an address of this node; return the status."""
        fields = "".join(f"{name}: {value}\r\n" for name, value in lines)
        reader, writer = await asyncio.open_connection(*self.edge, local_addr=(peer, 0))
        try:
            length = "Content-Length: 0\r\n" if method == "POST" else ""
            writer.write(
                f"{method} {url} HTTP/1.1\r\nHost: {host}\r\n{length}{fields}\r\n".encode()
            )
            first, _ = await asyncio.wait_for(read_head(reader), 10)
            return int(first.split()[1])
        finally:
            writer.close()

    async def client(self, peer: str, *lines: tuple[str, str], host: str = "shop.example") -> str:
        """Return the client of a write, as the journal gets it."""
        self.intake.seen.clear()
        self.assertEqual(200, await self.send(peer, "POST", "/w", host, *lines))
        return self.intake.seen[0].headers["x-cachemig-client"]

    async def test_the_client_of_a_trusted_proxy(self) -> None:
        await self.flip(EdgeState.REPLAY)
        for lines, expected in BEHIND_A_PROXY.items():
            with self.subTest(lines=lines):
                self.assertEqual(expected, await self.client(PROXY, *lines))

    async def test_nobody_else_is_believed(self) -> None:
        await self.flip(EdgeState.REPLAY)
        for lines in BEHIND_A_PROXY:
            with self.subTest(lines=lines):
                self.assertEqual(STRANGER, await self.client(STRANGER, *lines))

    async def test_a_service_has_its_own_list(self) -> None:
        for name in ("none", "own"):
            await self.engine.set_state(name, EdgeState.REPLAY)
        lines = (XFF, USER)
        self.assertEqual(PROXY, await self.client(PROXY, lines, host="none.example"))
        self.assertEqual(PROXY, await self.client(PROXY, lines, host="own.example"))
        self.assertEqual(USER, await self.client(STRANGER, lines, host="own.example"))

    async def test_the_guest_gets_what_the_client_sent(self) -> None:
        lines = ((XFF, USER), ("Forwarded", "for=198.51.100.1;proto=https"))
        for state in (EdgeState.PASS, EdgeState.ARMED):
            await self.flip(state)
            for peer in (PROXY, STRANGER):
                await self.send(peer, "GET", f"/{state.value}{peer}", "shop.example", *lines)
                headers = self.guest.seen[-1].headers
                self.assertEqual(f"{USER}, {peer}", headers["x-forwarded-for"])
                self.assertEqual("for=198.51.100.1;proto=https", headers["forwarded"])

    async def test_one_users_write_does_not_hold_the_others_behind_the_proxy(self) -> None:
        await self.flip(EdgeState.ARMED)
        await self.set_pending(f"client:{USER}", True, "shop")
        held = asyncio.create_task(self.send(PROXY, "GET", "/a", "shop.example", (XFF, USER)))
        await self.holding(1)
        other = (XFF, f"{USER}, 198.51.100.9")
        self.assertEqual(200, await self.send(PROXY, "GET", "/a", "shop.example", other))
        self.assertFalse(held.done())
        await self.set_pending(f"client:{USER}", False, "shop")
        self.assertEqual(200, await held)

    async def test_the_access_log_names_the_client(self) -> None:
        accesses = self.engine.accesses()
        first = asyncio.ensure_future(anext(accesses))
        await self.log_is_read()
        forwarded = ("X-Forwarded-Proto", "https")
        for peer, client, learnt in ((STRANGER, STRANGER, ""), (PROXY, USER, "https|||")):
            await self.send(peer, "GET", "/a", "shop.example", (XFF, USER), forwarded)
            record = await asyncio.wait_for(first, 5)
            first = asyncio.ensure_future(anext(accesses))
            self.assertEqual((client, learnt), (record.client, record.forwarded))
        first.cancel()

    async def test_users_of_a_trusted_proxy_share_what_is_declared_shared(self) -> None:
        self.guest.rules["/a"] = {"Cache-Control": "public, max-age=600"}
        await self.flip(EdgeState.ARMED)
        for _ in range(3):  # the first two show that it has a length, and that it is shared
            self.assertEqual(200, await self.send(PROXY, "GET", "/a", "shop.example", (XFF, USER)))
        await self.flip(EdgeState.SHIELDED)
        for other in ("203.0.113.8", "198.51.100.1, 203.0.113.9"):
            status = await self.send(PROXY, "GET", "/a", "shop.example", (XFF, other))
            self.assertEqual(200, status, other)
        asking = asyncio.create_task(
            self.send(STRANGER, "GET", "/a", "shop.example", (XFF, "203.0.113.8"))
        )
        await self.holding(1)  # from a stranger, the header is only a header
        await self.flip(EdgeState.REPLAY)
        self.assertEqual(200, await asking)
