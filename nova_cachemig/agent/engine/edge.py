"""HAProxy: its files, its process and its maps."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import socket
from collections.abc import Mapping, Set
from pathlib import Path

from oslo_config import cfg
from oslo_log import log

from nova_cachemig.agent.engine import capacity, files, names, render
from nova_cachemig.agent.engine.admin import Admin, AdminError, command
from nova_cachemig.agent.engine.descriptors import Descriptors
from nova_cachemig.agent.engine.guests import GuestConnections
from nova_cachemig.agent.engine.ledger import Priority
from nova_cachemig.agent.engine.maps import EdgeMap
from nova_cachemig.agent.engine.process import REPEAT_SIGNAL, Process, find_program, run_to_end
from nova_cachemig.agent.engine.shared import Shared
from nova_cachemig.agent.engine.supervisor import Supervisor
from nova_cachemig.agent.engine.writer import MapWriter
from nova_cachemig.agent.ports import ComponentError

LOG = log.getLogger(__name__)

REPEAT_RELOAD = 2 * REPEAT_SIGNAL
"""Seconds. A reload that was only slow is repeated, which costs one more worker process."""

_LOADING_FAILED = "Loading failure!"
"""The master process logs it if a reload fails. The old worker continues."""

_SHARED = frozenset({"state", "epochs"})
"""Maps that HAProxy edits itself."""

_MANY = 500
"""Edits from which on a reload that is due reads them from the files."""

_POLL = 0.01
"""Seconds between two looks at one table, for all tasks together."""


def _try_bind(bind: str) -> None:
    """Raise ComponentError if this node cannot listen on the address."""
    address, _, port = bind.rpartition(":")
    family = socket.AF_INET6 if address.startswith("[") else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind((address.strip("[]"), int(port)))
        except OSError as exc:
            raise ComponentError(f"cannot listen on {bind}: {exc.strerror}") from exc


def _pid(info: str) -> int:
    """Return the worker's pid from the output of ``show info``; 0 if it says none."""
    rows = dict(line.split(": ", 1) for line in info.splitlines() if ": " in line)
    return int(rows.get("Pid", 0))


class Edge:
    """One HAProxy. The driver edits its ``maps``, each an :class:`EdgeMap`."""

    def __init__(self, conf: cfg.ConfigOpts, paths: render.Paths, intake_socket: str) -> None:
        self._conf = conf
        self._paths = paths
        self._intake_socket = intake_socket
        self.admin = Admin(paths.socket("admin"), conf.engine.admin_timeout)
        self.writer = MapWriter(Admin(paths.socket("admin"), conf.engine.admin_timeout))
        self.maps = {
            name: EdgeMap(paths.map(name), self.writer, shared=name in _SHARED)
            for name in render.MAPS
        }
        self.guests = GuestConnections(self._ask_descriptors)
        self._holding = Shared(lambda: self._ask_table("holding"), _POLL)
        self._writing = Shared(lambda: self._ask_table("writing"), _POLL)
        self.binds: set[str] = set()
        self._process: Process | None = None
        self._supervisor: Supervisor | None = None
        self._binds_file = paths.root / "binds.json"

    @property
    def restarts(self) -> int:
        """How often HAProxy has ended and was started again."""
        return self._supervisor.restarts if self._supervisor else 0

    @property
    def pid(self) -> int | None:
        """The pid of HAProxy's master process."""
        return self._process.pid if self._process else None

    async def start(self) -> bool:
        """Adopt a running HAProxy, or start one without services; return whether it adopted."""
        opts = self._conf.engine
        path = find_program(opts.haproxy, "haproxy")
        argv = [path, *opts.haproxy_args, "-W", "-f", str(self._paths.haproxy_cfg)]
        self._process = Process("haproxy", argv, self._paths.root)
        self._supervisor = Supervisor(
            self._process, self._prepare_restart, self._wait_ready, opts.start_timeout
        )
        if self._process.adopt():
            try:
                await self._load_state()
            except AdminError as exc:
                LOG.error("the running HAProxy cannot be adopted, stopping it: %s", exc)
                await self._process.terminate(signal.SIGTERM, 2)
            else:
                self._supervisor.watch()
                LOG.info("adopted the running HAProxy, pid %s", self._process.pid)
                return True
        self.binds = set()
        for one in self.maps.values():
            one.start_with({})
        self._save_maps()
        await self._install(self.binds)
        await self._supervisor.start()
        return False

    async def _load_state(self) -> None:
        await self.worker_pid()
        with contextlib.suppress(OSError, ValueError):
            self.binds = set(json.loads(self._binds_file.read_text()))
        for one in self.maps.values():
            await one.load()
            if one.absent:
                one.save()  # the configuration that is installed next refers to it

    def _prepare_restart(self) -> None:
        """HAProxy loses the epochs that it has set itself: no stored page may be found again."""
        states = self.maps["state"]
        states.start_with(
            {service: names.renewed(entry) for service, entry in states.entries.items()}
        )
        self._save_maps()
        for one in self.maps.values():
            one.forget()

    def _save_maps(self) -> None:
        for one in self.maps.values():
            one.save()

    async def _install(self, binds: Set[str]) -> bool:
        opts = self._conf.engine
        files.write(self._paths.lua, render.lua(self._conf, self._paths))
        text = render.haproxy(self._conf, self._paths, self._intake_socket, sorted(binds))

        async def validate(draft: Path) -> tuple[int, str]:
            return await run_to_end(
                [find_program(opts.haproxy, "haproxy"), "-c", "-q", "-f", str(draft)],
                opts.start_timeout,
            )

        return await files.install(self._paths.haproxy_cfg, text, validate)

    def many(self, maps: Mapping[str, Mapping[str, str]]) -> bool:
        """Return whether to send these maps would take many edits."""
        return sum(self.maps[name].edits(entries) for name, entries in maps.items()) >= _MANY

    async def start_with(self, maps: Mapping[str, Mapping[str, str]]) -> None:
        """Want these maps from the next reload on. Raises AdminError.

        Former addresses of guests do not wait for the reload: other guests may have them by now.
        """
        wanted = maps["targets"]
        former = {
            k: wanted.get(k) for k, v in self.maps["targets"].entries.items() if wanted.get(k) != v
        }
        await self.maps["targets"].update(former, Priority.ROUTE)
        for name, entries in maps.items():
            self.maps[name].start_with(entries)

    async def replace(self, maps: Mapping[str, Mapping[str, str]]) -> None:
        """Send what differs, in the order of ``maps``. Raises AdminError."""
        for name, entries in maps.items():
            await self.maps[name].replace(entries)

    def config_differs(self) -> bool:
        """Return whether HAProxy's configuration differs from the one of this agent."""
        text = render.haproxy(self._conf, self._paths, self._intake_socket, sorted(self.binds))
        return not files.has_content(self._paths.haproxy_cfg, text)

    def unusable(self, binds: Set[str]) -> dict[str, str]:
        """Return the addresses on which this node cannot listen, each with the reason."""
        present = {bind.partition(" ")[0] for bind in self.binds}
        found = capacity.surplus(
            sorted(binds),
            present,
            self._conf.engine.max_clients,
            capacity.open_file_limit(),
        )
        for bind in sorted(binds - present - found.keys()):
            try:
                _try_bind(bind)
            except ComponentError as exc:
                found[bind] = str(exc)
        return found

    async def rebind(self, binds: Set[str]) -> int | None:
        """Reload with these front addresses; return the old worker's pid, None without a reload."""
        before = self._paths.haproxy_cfg.read_text()
        if not await self._install(binds):
            self.binds = set(binds)
            return None
        self._save_maps()
        try:
            old = await self._reload()
        except ComponentError:
            files.write(self._paths.haproxy_cfg, before)
            raise
        for one in self.maps.values():
            one.was_read()
        self.binds = set(binds)
        self._binds_file.write_text(json.dumps(sorted(binds)))
        return int(old)

    async def _reload(self) -> str:
        assert self._process is not None, "started before"
        old = await self.worker_pid()
        loop = asyncio.get_running_loop()
        due = loop.time()
        log_size = self._process.log_size()
        try:
            async with asyncio.timeout(self._conf.engine.start_timeout):
                while True:
                    if loop.time() >= due:  # again if the master process has lost the signal
                        self._process.send_signal(signal.SIGUSR2)
                        due = loop.time() + REPEAT_RELOAD
                    await self.admin.close()
                    try:
                        if await self.worker_pid() != old:
                            await self.writer.reconnect()
                            return old
                    except AdminError as exc:
                        LOG.debug("HAProxy is reloading: %s", exc)
                    if _LOADING_FAILED in (text := self._process.log_since(log_size)):
                        raise ComponentError(
                            f"HAProxy refused to reload; the old worker continues: {text[-1000:]}"
                        )
                    await asyncio.sleep(0.02)
        except TimeoutError as exc:
            raise ComponentError(
                f"HAProxy did not reload; the old worker continues: {self._process.log_tail()}"
            ) from exc

    async def worker_pid(self) -> str:
        """Return the pid of the worker that responds on the admin socket."""
        return str(_pid(await self.admin.run(command("show", "info"))) or "")

    async def _wait_ready(self) -> None:
        """Return once HAProxy responds on the admin socket; the supervisor limits the wait."""
        await self.admin.close()
        await self.writer.reconnect()
        while True:
            try:
                await self.worker_pid()
            except AdminError as exc:
                LOG.debug("HAProxy has not started yet: %s", exc)
            else:
                return

    async def open_requests(self, service: str) -> int:
        """Return the requests of a service that are held, or were and have no response yet."""
        return (await self._holding.get()).get(service, 0)

    async def unanswered_writes(self) -> set[str]:
        """Return the keys of the pages that a write in flight to a guest is to change."""
        return set(await self._writing.get())

    async def _ask_descriptors(self) -> Descriptors:
        """Ask one worker: its pid and its descriptors."""
        info, output = await self.admin.exchange(command("show", "info"), command("show", "fd"))
        return Descriptors.parse(_pid(info), output)

    async def _ask_table(self, table: str) -> dict[str, int]:
        """Return the open requests by the key of the table."""
        text = command("show", "table", table, "data.conn_cur", "gt", "0")
        found = {}
        for line in (await self.admin.run(text)).splitlines():
            fields = dict(field.split("=", 1) for field in line.split() if "=" in field)
            if "key" in fields:
                found[fields["key"]] = int(fields.get("conn_cur", 0))
        return found

    async def stop(self, patience: float) -> None:
        """Stop HAProxy; requests in flight may finish within ``patience`` seconds."""
        if self._supervisor is not None:
            await self._supervisor.unwatch()
        await self.writer.close()
        await self.admin.close()
        if self._process is not None:
            await self._process.terminate(signal.SIGUSR1, patience)

    async def detach(self) -> None:
        """Leave HAProxy running without an agent."""
        if self._supervisor is not None:
            await self._supervisor.unwatch()
        await self.writer.close()
        await self.admin.close()
