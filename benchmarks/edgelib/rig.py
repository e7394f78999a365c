"""The edge, a guest that is as fast as possible, and their CPU time."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import os
import shutil
import signal
import socket
import tempfile
import time
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

from oslo_config import cfg

from nova_cachemig.agent.engine.driver import HaproxyVarnish
from nova_cachemig.agent.ports import alive_socket
from nova_cachemig.conf import engine as options
from nova_cachemig.model.service import Route, Service, Target

StartGuest = Callable[[Path, int], Awaitable[Process]]
"""Starts a guest that listens on a port of 127.0.0.1; the directory is for its files."""

TICKS = os.sysconf("SC_CLK_TCK")

GUEST = """
global
    maxconn 5000
    nbthread 1
defaults
    mode http
    timeout client 60s
    timeout http-keep-alive 60s
frontend guest
    bind 127.0.0.1:{port}
    http-request return status 200 {response}
"""


PROXY = """
global
    maxconn 5000
    nbthread 1
defaults
    mode http
    timeout connect 5s
    timeout client 60s
    timeout server 60s
    timeout http-keep-alive 60s
listen proxy
    bind 127.0.0.1:{port}
    option forwardfor
    server guest 127.0.0.1:{guest}
"""


def free_port() -> int:
    """Return a free port of the loopback interface."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def cpu_seconds(pids: list[int]) -> float:
    """Return the user and system time of these processes so far."""
    total = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            total += int(fields[11]) + int(fields[12])
    return total / TICKS


async def _respond_alive(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Pass HAProxy's check of the agent."""
    writer.write(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
    await writer.drain()
    writer.close()


def family(pid: int) -> list[int]:
    """Return a process and its children."""
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [pid, *(int(child) for child in text.split())]


@dataclasses.dataclass(frozen=True)
class Rig:
    """The running processes, by address and pid."""

    engine: HaproxyVarnish
    service: str
    edge: str  # URLs
    guest: str
    guest_pid: int
    proxy: str  # a plain HAProxy in front of the guest
    proxy_pid: int
    cache: str  # a plain Varnish in front of the guest
    cache_pid: int

    def way(self, case: str) -> tuple[str, list[int]]:
        """Return the URL for a case, and the pids of the processes that are measured."""
        ways = {
            "guest": (self.guest, [self.guest_pid]),
            "proxy": (self.proxy, [self.proxy_pid]),
            "cache": (self.cache, family(self.cache_pid)),
        }
        return ways[case] if case in ways else (self.edge, self.engine_pids())

    def engine_pids(self) -> list[int]:
        """Return the pids of HAProxy's and Varnish's processes."""
        return [p for pid in self.engine.pids.values() if pid is not None for p in family(pid)]


async def _wait_ready(port: int) -> None:
    until = time.monotonic() + 5
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            if time.monotonic() > until:
                raise
            await asyncio.sleep(0.02)
        else:
            writer.close()
            return


def fixed_response(body: int) -> StartGuest:
    """Return what starts a HAProxy that responds to all requests with ``body`` bytes."""

    async def start(root: Path, port: int) -> Process:
        response = f"hdr Cache-Control max-age=600 content-type text/plain string {'x' * body}"
        (root / "guest.cfg").write_text(GUEST.format(port=port, response=response))
        argv = ("haproxy", "-db", "-f", str(root / "guest.cfg"))
        return await asyncio.create_subprocess_exec(*argv)

    return start


@contextlib.asynccontextmanager
async def _process(*argv: str) -> AsyncIterator[Process]:
    process = await asyncio.create_subprocess_exec(*argv)
    try:
        yield process
    finally:
        process.terminate()
        await process.wait()


@contextlib.asynccontextmanager
async def _plain(root: Path, guest: int) -> AsyncIterator[tuple[str, int, str, int]]:
    """Run HAProxy and Varnish with the least configuration; yield their URLs and pids."""
    proxy, cache = free_port(), free_port()
    (root / "proxy.cfg").write_text(PROXY.format(port=proxy, guest=guest))
    varnish = ("varnishd", "-F", "-a", f"127.0.0.1:{cache}", "-b", f"127.0.0.1:{guest}")
    varnish += ("-j", "none", "-n", str(root / "varnish"), "-s", "malloc,64M")
    async with (
        _process("haproxy", "-db", "-f", str(root / "proxy.cfg")) as first,
        _process(*varnish) as second,
    ):
        for port in (proxy, cache):
            await _wait_ready(port)
        urls = f"http://127.0.0.1:{proxy}", f"http://127.0.0.1:{cache}"
        yield urls[0], first.pid, urls[1], second.pid


@contextlib.asynccontextmanager
async def rig(*, services: int, threads: int, guest: StartGuest) -> AsyncIterator[Rig]:
    """Run the edge and the guest, with this number of services in the maps."""
    root = Path(tempfile.mkdtemp(prefix="edgebench"))
    conf = cfg.ConfigOpts()
    options.register(conf)
    conf([])
    conf.set_override("runtime_dir", str(root / "run"), group="engine")
    conf.set_override("threads", threads, group="engine")
    guest_port, edge_port = free_port(), free_port()
    guest_process = await guest(root, guest_port)
    intake_socket = str(root / "intake.sock")
    intake = await asyncio.start_unix_server(_respond_alive, alive_socket(intake_socket))
    engine = HaproxyVarnish(conf, intake_socket=intake_socket)
    try:
        await _wait_ready(guest_port)
        await engine.start()
        listen = ("127.0.0.1", edge_port)
        target = Target("127.0.0.1", guest_port)
        names = [("bench", "127.0.0.1")]
        names += [(f"s{n}", f"s{n}.example") for n in range(1, services)]
        await engine.apply(
            [Route(Service(n, "i", 80, listen, hosts=(host,)), target) for n, host in names]
        )
        urls = f"http://127.0.0.1:{edge_port}", f"http://127.0.0.1:{guest_port}"
        async with _plain(root, guest_port) as plain:
            yield Rig(engine, "bench", *urls, guest_process.pid, *plain)
    finally:
        pids = [pid for pid in engine.pids.values() if pid is not None]
        await engine.detach()
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
        guest_process.terminate()
        await guest_process.wait()
        intake.close()
        shutil.rmtree(root, ignore_errors=True)
