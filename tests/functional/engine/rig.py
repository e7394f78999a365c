"""A real HAProxy and a real Varnish with the driver, a guest, an intake and a client."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import shutil
import signal
import socket
import tempfile
import unittest
from pathlib import Path

from oslo_config import cfg

from nova_cachemig.agent.engine.driver import HaproxyVarnish
from nova_cachemig.agent.engine.warming import warm_headers
from nova_cachemig.conf import engine as options
from nova_cachemig.model.phase import EdgeState
from nova_cachemig.model.service import Route, Service
from tests.functional.engine.servers import (
    Guest,
    Intake,
    Response,
    fetch,
    loopback,
    until,
)
from tests.functional.ports import free_port

SERVICE = "shop / één"  # names are free text
INSTANCE = "6f70656e-7374-4163-8b21-000000000001"


def config(root: Path, **overrides: object) -> cfg.ConfigOpts:
    conf = cfg.ConfigOpts()
    options.register(conf)
    conf([])
    values = {"runtime_dir": str(root), "cache_size": "64m", "max_clients": 500, **overrides}
    for name, value in values.items():
        conf.set_override(name, value, group="engine")
    return conf


class EngineCase(unittest.IsolatedAsyncioTestCase):
    """``self.engine`` serves ``self.guest`` on ``self.edge``; ``options`` sets its options."""

    options: dict[str, object] = {}
    _nonces = itertools.count(1)

    async def asyncSetUp(self) -> None:
        asyncio.get_running_loop().set_debug(False)  # it would dominate the measured times
        self.root = Path(tempfile.mkdtemp(prefix="cmeng"))
        self.addCleanup(shutil.rmtree, self.root, ignore_errors=True)
        self.conf = config(self.root, **self.options)
        self.intake_socket = str(self.root / "intake.sock")
        self.guest = self.new_guest()
        await self.guest.start(self.listening())
        self.addAsyncCleanup(self.guest.stop)
        self.intake = Intake(self.guest)
        await self.intake.listen(self.intake_socket)
        self.addAsyncCleanup(self.intake.stop)
        self.engine = self.new_engine()
        self.addAsyncCleanup(self._end)
        await self.engine.start()
        self.edge = ("127.0.0.1", free_port())
        self.service = self.a_service()
        await self.engine.apply([Route(self.service, self.guest.target)])
        await self.agent_is_up()

    def listening(self) -> socket.socket:
        return loopback()

    def new_guest(self) -> Guest:
        return Guest()

    def new_engine(self) -> HaproxyVarnish:
        return HaproxyVarnish(self.conf, intake_socket=self.intake_socket)

    def a_service(self, name: str = SERVICE, **fields: object) -> Service:
        values = {"instance": INSTANCE, "port": 80, "listen": self.edge, **fields}
        return Service(name=name, **values)  # type: ignore[arg-type]

    async def _end(self) -> None:
        await self.engine.detach()
        for pid in self.engine.pids.values():
            if pid is not None:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGTERM)
        await until(lambda: not any(self._runs(pid) for pid in self.engine.pids.values()), 10)

    @staticmethod
    def _runs(pid: int | None) -> bool:
        if pid is None:
            return False
        with contextlib.suppress(ChildProcessError):
            if os.waitpid(pid, os.WNOHANG)[0] == pid:
                return False
        return Path(f"/proc/{pid}").exists()

    async def get(self, url: str, **kwargs: object) -> Response:
        return await fetch(self.edge, url, **kwargs)  # type: ignore[arg-type]

    async def stored(self, url: str, **kwargs: object) -> Response:
        """Get a page twice while armed: the second response is stored, and returned.

        The first one shows that the page has a length and may be stored.
        """
        await self.get(url, **kwargs)
        return await self.get(url, **kwargs)

    async def warm_page(self, url: str) -> Response:
        """Fetch a page as the warmer does, and have users find it as if it were proved."""
        headers = warm_headers(self.service.name, "shop.example")
        number = next(self._nonces)
        nonce = {"X-Cachemig-Nonce": str(number)}
        response = await fetch(self.engine.cache_socket, url, headers={**headers, **nonce})
        commit = {"X-Cachemig-Commit": str(8 * number + 3)}
        await fetch(self.engine.cache_socket, url, headers={**headers, **commit})
        return response

    async def found(self, url: str, **kwargs: object) -> Response | None:
        """Get a page in a short silence; None if the cache has none for this request."""
        state = self.engine.state(self.service.name)
        await self.flip(EdgeState.SHIELDED)
        asking = asyncio.create_task(self.get(url, **kwargs))
        held = asyncio.create_task(self.holding(1))
        await asyncio.wait((asking, held), return_when=asyncio.FIRST_COMPLETED)
        held.cancel()
        found = asking.done()
        await self.flip(state)
        response = await asking
        self.assertEqual(200, response.status)
        return response if found else None

    async def flip(self, state: EdgeState) -> None:
        await self.engine.set_state(self.service.name, state)

    async def invalidate(self, host: str, urls: list[str], service: str = SERVICE) -> None:
        await self.engine.update_barrier(service, {host: urls}, {})

    async def set_pending(self, key: str, on: bool, service: str = SERVICE) -> None:
        await self.engine.update_barrier(service, {}, {key: on})

    def route(self, service: Service) -> Route:
        return Route(service, self.guest.target)

    async def holding(self, number: int) -> None:
        """Wait until exactly this number of requests is held."""
        async with asyncio.timeout(5):
            while (await self.engine.counts(self.service.name)).holding_now != number:  # noqa: ASYNC110
                await asyncio.sleep(0.005)

    async def log_is_read(self) -> None:
        """Wait until the driver reads the edge's log."""
        async with asyncio.timeout(5):
            await asyncio.gather(*(ring.connected.wait() for ring in self.engine._rings))
        await asyncio.sleep(0.05)  # HAProxy attaches the reader shortly after

    async def server_is(self, server: str, state: str) -> None:
        """Wait until HAProxy's health check reports UP or DOWN."""
        async with asyncio.timeout(5):
            while True:
                output = await self.engine._edge.admin.run("show stat -1 4 -1")
                for line in output.splitlines():
                    row = line.split(",")
                    if "/".join(row[:2]) == server and row[17].startswith(state):
                        return
                await asyncio.sleep(0.02)

    async def agent_is_up(self) -> None:
        await self.server_is("agent/intake", "UP")
        await self.server_is("cache/varnish", "UP")
