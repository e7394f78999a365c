"""HAProxy: its files, its process, its maps."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import signal
import socket
from collections.abc import Set
from pathlib import Path

from oslo_config import cfg
from oslo_log import log

from nova_cachemig.agent.engine import files, render
from nova_cachemig.agent.engine.admin import Admin, AdminError, command
from nova_cachemig.agent.engine.maps import EdgeMap
from nova_cachemig.agent.engine.process import Process, check, program
from nova_cachemig.agent.engine.supervisor import Supervisor
from nova_cachemig.agent.ports import ComponentError

LOG = log.getLogger(__name__)


_FETCH = re.compile(r" lport=(\d+) .*? sv=fetch/guest ")


def _try_bind(bind: str) -> None:
    """Raise ComponentError if this node cannot listen there, before anything is changed for it."""
    address, _, port = bind.rpartition(":")
    family = socket.AF_INET6 if address.startswith("[") else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind((address.strip("[]"), int(port)))
        except OSError as exc:
            raise ComponentError(f"cannot listen on {bind}: {exc.strerror}") from exc


class Edge:
    """One HAProxy. ``maps`` are edited by the driver, through :class:`EdgeMap`."""

    def __init__(self, conf: cfg.ConfigOpts, paths: render.Paths, intake_socket: str) -> None:
        self._conf = conf
        self._paths = paths
        self._intake_socket = intake_socket
        self.admin = Admin(paths.socket("admin"), conf.engine.admin_timeout)
        self.maps = {name: EdgeMap(paths.map(name), self.admin) for name in render.MAPS}
        self.binds: set[str] = set()
        self._process: Process | None = None
        self._supervisor: Supervisor | None = None
        self._binds_file = paths.root / "binds.json"

    @property
    def pid(self) -> int | None:
        """Of HAProxy's master process."""
        return self._process.pid if self._process else None

    async def start(self) -> bool:
        """Take over a HAProxy that runs, or start one that serves nobody; True if taken over."""
        opts = self._conf.engine
        path = program(opts.haproxy, "haproxy")
        argv = [path, *opts.haproxy_args, "-W", "-f", str(self._paths.haproxy_cfg)]
        self._process = Process("haproxy", argv, self._paths.root)
        self._supervisor = Supervisor(
            self._process, self._write_maps, self._answers, opts.start_timeout
        )
        if self._process.adopt():
            try:
                await self._take_over()
            except AdminError as exc:
                LOG.error("the HAProxy that runs cannot be taken over, ending it: %s", exc)
                await self._process.end(signal.SIGTERM, 2)
            else:
                self._supervisor.watch()
                LOG.info("took over HAProxy, pid %s", self._process.pid)
                return True
        self.binds = set()
        for one in self.maps.values():
            one.entries = {}
        self._write_maps()
        await self._install(self.binds)
        await self._supervisor.start()
        return False

    async def _take_over(self) -> None:
        await self._worker()
        with contextlib.suppress(OSError, ValueError):
            self.binds = set(json.loads(self._binds_file.read_text()))
        for one in self.maps.values():
            await one.read()

    def _write_maps(self) -> None:
        for one in self.maps.values():
            one.write()

    async def _install(self, binds: Set[str]) -> bool:
        opts = self._conf.engine
        files.put(self._paths.lua, render.lua(self._conf, self._paths))
        text = render.haproxy(self._conf, self._paths, self._intake_socket, sorted(binds))

        async def validate(draft: Path) -> tuple[int, str]:
            return await check(
                [program(opts.haproxy, "haproxy"), "-c", "-q", "-f", str(draft)],
                opts.start_timeout,
            )

        return await files.install(self._paths.haproxy_cfg, text, validate)

    def stale(self) -> bool:
        """Whether HAProxy runs with another configuration than this agent would write."""
        text = render.haproxy(self._conf, self._paths, self._intake_socket, sorted(self.binds))
        return not files.holds(self._paths.haproxy_cfg, text)

    def check_binds(self, binds: Set[str]) -> None:
        """Raise ComponentError if this node cannot listen on one that is new."""
        for bind in sorted(binds - self.binds):
            _try_bind(bind)

    async def listen_on(self, binds: Set[str]) -> None:
        """Reload with these front addresses. Nothing may be handed over meanwhile."""
        before = self._paths.haproxy_cfg.read_text()
        if not await self._install(binds):
            self.binds = set(binds)
            return
        self._write_maps()
        try:
            await self._reload()
        except ComponentError:
            files.put(self._paths.haproxy_cfg, before)
            raise
        self.binds = set(binds)
        self._binds_file.write_text(json.dumps(sorted(binds)))

    async def _reload(self) -> None:
        assert self._process is not None, "started before"
        old = await self._worker()
        self._process.send(signal.SIGUSR2)
        try:
            async with asyncio.timeout(self._conf.engine.start_timeout):
                while True:
                    await self.admin.close()
                    try:
                        if await self._worker() != old:
                            return
                    except AdminError as exc:
                        LOG.debug("HAProxy reloads: %s", exc)
                    await asyncio.sleep(0.02)
        except TimeoutError as exc:
            raise ComponentError(
                f"HAProxy did not reload and goes on as before: {self._process.last_words()}"
            ) from exc

    async def _worker(self) -> str:
        said = await self.admin.run(command("show", "info"))
        rows = dict(line.split(": ", 1) for line in said.splitlines() if ": " in line)
        return rows.get("Pid", "")

    async def _answers(self) -> None:
        """Return when it answers on the admin socket; the supervisor's patience is the limit."""
        await self.admin.close()
        while True:
            try:
                await self._worker()
            except AdminError as exc:
                LOG.debug("HAProxy has not started yet: %s", exc)
            else:
                return

    async def tracked(self, table: str, service: str) -> int:
        """Requests of a service that are now in ``writes``, ``fetching`` or ``holding``."""
        said = await self.admin.run(command("show", "table", table, "key", service))
        for line in said.splitlines():
            words = dict(word.split("=", 1) for word in line.split() if "=" in word)
            if words.get("key") == service:
                return int(words.get("conn_cur", 0))
        return 0

    async def fetch_ports(self) -> set[int]:
        """Local ports of the connections to guests on which reads of handed over services go."""
        said = await self.admin.run(command("show", "fd"))
        return {int(port) for port in _FETCH.findall(said)}

    async def stop(self, patience: float) -> None:
        """End it; requests in flight may finish within ``patience`` seconds."""
        if self._supervisor is not None:
            await self._supervisor.unwatch()
        await self.admin.close()
        if self._process is not None:
            await self._process.end(signal.SIGUSR1, patience)

    async def detach(self) -> None:
        """Let it run on without an agent."""
        if self._supervisor is not None:
            await self._supervisor.unwatch()
        await self.admin.close()
