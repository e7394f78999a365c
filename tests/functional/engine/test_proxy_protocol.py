"""The PROXY protocol, with a real HAProxy in front of the edge and another one as the guest's."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess

from nova_cachemig.model.phase import EdgeState
from nova_cachemig.model.service import SendProxy, Service, Target
from tests.functional.armed.rig import ArmedCase
from tests.functional.engine.rig import EngineCase
from tests.functional.engine.servers import Guest, connect, fetch
from tests.functional.ports import free_port

CLIENT = "127.0.0.9"
OTHER = "127.0.0.8"

_CONF = """
global
    maxconn 500
defaults
    mode {mode}
    timeout connect 5s
    timeout client 60s
    timeout server 60s
listen one
    bind 127.0.0.1:{port} {bind}
    {rules}
    server next {target} {server}
"""


class Haproxy:
    """A HAProxy that passes on all connections, or all requests, to ``target``."""

    def __init__(self, case: EngineCase, target: tuple[str, int], **words: str) -> None:
        self.port = free_port()
        words = {"mode": "tcp", "bind": "", "rules": "", "server": "", **words}
        text = _CONF.format(port=self.port, target=f"{target[0]}:{target[1]}", **words)
        path = case.root / f"proxy-{self.port}.cfg"
        path.write_text(text)
        self._process = subprocess.Popen(["haproxy", "-db", "-f", str(path)])
        case.addCleanup(self._process.wait, 10)
        case.addCleanup(self._process.terminate)

    async def ready(self) -> None:
        """Return when it accepts connections."""
        async with asyncio.timeout(30):
            while True:
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", self.port)
                except OSError:
                    await asyncio.sleep(0.02)
                else:
                    return writer.close()


class FromProxies(EngineCase):
    """A load balancer for TCP in front of the edge."""

    async def asyncSetUp(self) -> None:
        await super().asyncSetUp()
        self.service = self.a_service("shop", accept_proxy=True, trusted_proxies=("127.0.0.1/32",))
        self.assertEqual({}, await self.engine.apply([self.route(self.service)]))

    async def through(self, server: str) -> tuple[str, int]:
        balancer = Haproxy(self, self.edge, server=f"{server} source 127.0.0.1")
        await balancer.ready()
        return "127.0.0.1", balancer.port

    def seen(self, url: str) -> str:
        (request,) = [one for one in self.guest.seen if one.url == url]
        return request.headers["x-forwarded-for"]

    async def test_the_guest_learns_the_client(self) -> None:
        for server in ("send-proxy", "send-proxy-v2"):
            where = await self.through(server)
            for state in (EdgeState.PASS, EdgeState.ARMED, EdgeState.REPLAY):
                url = f"/{server}/{state.value}"
                with self.subTest(url):
                    await self.flip(state)
                    response = await fetch(where, url, source=CLIENT)
                    self.assertEqual(200, response.status)
                    self.assertEqual(CLIENT, self.seen(url))

    async def test_only_a_trusted_proxy_names_the_client(self) -> None:
        self.assertEqual(200, (await self.get("/plain", source=OTHER)).status)
        self.assertEqual(OTHER, self.seen("/plain"))
        reader, writer = await connect(self.edge, OTHER)
        self.addCleanup(writer.close)
        writer.write(b"PROXY TCP4 127.0.0.9 127.0.0.1 1 2\r\nGET /x HTTP/1.1\r\nHost: a\r\n\r\n")
        self.assertIn(b" 400 ", await asyncio.wait_for(reader.readline(), 10))
        self.assertEqual(0, self.guest.count("/x"))

    async def test_a_connection_of_a_proxy_without_the_header_is_closed(self) -> None:
        reader, writer = await connect(self.edge, "127.0.0.1")
        self.addCleanup(writer.close)
        writer.write(b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n")
        with contextlib.suppress(ConnectionResetError):
            self.assertEqual(b"", await asyncio.wait_for(reader.read(), 20))
        self.assertEqual(0, self.guest.count("/x"))

    async def test_a_write_of_a_client_holds_no_reads_of_another(self) -> None:
        where = await self.through("send-proxy-v2")
        await self.flip(EdgeState.REPLAY)
        await self.engine.update_barrier("shop", {}, {f"client:{CLIENT}": True})
        self.assertEqual(200, (await fetch(where, "/free", source=OTHER, timeout=10)).status)
        waiting = asyncio.create_task(fetch(where, "/held", source=CLIENT))
        await self.holding(1)
        await self.engine.update_barrier("shop", {}, {f"client:{CLIENT}": False})
        self.assertEqual(200, (await waiting).status)


class ProxiedGuest(Guest):
    """A HAProxy that expects the header passes on requests, and adds the client's address."""

    proxied: Target

    @property
    def target(self) -> Target:
        return self.proxied


class ToGuests(ArmedCase):
    version = SendProxy.V1

    def new_guest(self) -> Guest:
        self.front = ProxiedGuest()
        return self.front

    def a_service(self, name: str = "shop", **fields: object) -> Service:
        if not hasattr(self.front, "proxied"):
            self.proxy = Haproxy(
                self, (self.guest.address, self.guest.port), mode="http", bind="accept-proxy",
                rules="http-request set-header X-Peer %[src]",
            )  # fmt: skip
            self.front.proxied = Target("127.0.0.1", self.proxy.port)
        return super().a_service(name, send_proxy=self.version, **fields)

    async def asyncSetUp(self) -> None:
        await super().asyncSetUp()
        await self.proxy.ready()

    def peer(self, url: str) -> list[str]:
        return [one.headers["x-peer"] for one in self.guest.seen if one.url == url]

    async def test_reads_and_direct_writes(self) -> None:
        for state in (EdgeState.PASS, EdgeState.ARMED, EdgeState.REPLAY):
            await self.flip(state)
            for source in (CLIENT, OTHER):
                for method in ("GET", "OPTIONS", "POST"):
                    if state is EdgeState.REPLAY and method == "POST":
                        continue
                    url = f"/{state.value}/{source}/{method}"
                    with self.subTest(url):
                        response = await self.get(url, method=method, source=source)
                        self.assertEqual(200, response.status)
                        self.assertEqual([source], self.peer(url))

    async def test_what_is_held_and_what_is_in_the_journal(self) -> None:
        await self.shield()
        asking = {
            f"/{source}/{method}": asyncio.create_task(
                self.get(f"/{source}/{method}", method=method, source=source)
            )
            for source in (CLIENT, OTHER)
            for method in ("GET", "OPTIONS", "PUT", "POST")
        }
        await self.holding(4)
        async with asyncio.timeout(20):
            while (await self.writes.counts("shop")).waiting != 4:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        await self.back()
        for url, task in asking.items():
            with self.subTest(url):
                self.assertEqual(200, (await asyncio.wait_for(task, 30)).status)
                self.assertEqual([url.split("/")[1]], self.peer(url))

    async def test_a_connection_is_reused_only_for_the_same_client(self) -> None:
        for number in range(6):
            source = (CLIENT, OTHER)[number % 2]
            self.assertEqual(200, (await self.get(f"/{number}", source=source)).status)
            self.assertEqual([source], self.peer(f"/{number}"))


class ToGuestsBinary(ToGuests):
    version = SendProxy.V2
