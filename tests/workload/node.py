"""The cache node of the workload: the agent's real process, its engines, and RabbitMQ."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import sqlalchemy as sa
import yaml
from oslo_config import cfg

from nova_cachemig.agent.journal.offline import engine_of
from nova_cachemig.agent.journal.queries import unfinished
from nova_cachemig.agent.journal.record import from_row
from nova_cachemig.agent.journal.schema import WRITES
from nova_cachemig.conf import setup
from nova_cachemig.rpc.agent_client import AgentClient
from tests.functional.drain.rig import ROOT
from tests.functional.rpc.broker import Broker
from tests.workload.disk import Disk
from tests.workload.freshness import HELD_AT_MOST

_TRACEBACK = "Traceback (most recent call last)"
_DECIDED_BY_OPERATOR = ("in_doubt", "damaged", "resend")
_CONF = """
[DEFAULT]
transport_url = {bus}
[agent]
state_dir = {here}/state
services_dir = {here}/services.d
warm_time = 1
[engine]
runtime_dir = {here}/run
cache_size = 64m
hold_timeout = {held}
retry_after = 1
[journal]
replay_source = {source}
hold_timeout = 3
response_timeout = 10
response_time = 3
resend_time = 4
resend_tries = 3
max_response = 1m
[nova]
auth_type = none
endpoint_override = http://127.0.0.1:9
"""
"""Short times, so that each limit is passed often. Nova is away."""


class Node:
    """``away``: intervals in which the agent was dead or stopped."""

    def __init__(
        self,
        services: list[dict[str, Any]],
        addresses: dict[str, str],
        source: str,
        extra: str = "",
        *,
        small_disk: bool = False,
    ) -> None:
        """``services``: as in a service file. ``addresses``: of their guests, by service.

        ``source``: the agent's address towards guests. ``extra``: more lines of configuration.
        ``small_disk``: the agent has a separate disk that can be filled.
        """
        self.here = Path(tempfile.mkdtemp(prefix="cmwork"))
        for name in ("state", "services.d", "run"):
            (self.here / name).mkdir()
        self.disk = Disk(self.here / "state") if small_disk else None
        (self.here / "services.d/all.yaml").write_text(yaml.safe_dump({"services": services}))
        book = {
            one["name"]: {"instance": one["instance"], "address": addresses[one["name"]]}
            for one in services
        }
        (self.here / "state/addresses.json").write_text(json.dumps(book))
        self._source, self._extra = source, extra
        self._config = self.here / "agent.conf"
        self._broker = Broker()
        self._process: subprocess.Popen[bytes] | None = None
        self._peaks: list[int] = []
        self.away: list[tuple[float, float]] = []
        self.lock = asyncio.Lock()
        """Held while the agent is away."""
        self.client: AgentClient

    def start(self) -> None:
        """Start RabbitMQ and the agent. :attr:`client` then speaks as nova-compute does."""
        self._broker.start()
        conf = _CONF.format(bus=self._broker.url, here=self.here, source=self._source,
                            held=int(HELD_AT_MOST))  # fmt: skip
        self._config.write_text(conf + self._extra)
        self.run()
        own = cfg.ConfigOpts()
        own([], default_config_files=[], default_config_dirs=[])
        self.client = AgentClient(
            own, "nova-cachemig-agent", transport_url=self._broker.url, rpc_timeout=10.0
        )

    def run(self) -> None:
        """Start the agent's process."""
        program = "import sys; from nova_cachemig.cmd.start import agent; sys.exit(agent())"
        with (self.here / "agent.log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-c", program, "--config-file", str(self._config)],
                stdout=log,
                stderr=log,
                cwd=ROOT,
            )

    def alive(self) -> bool:
        """Whether the agent's process lives."""
        return self._process is not None and self._process.poll() is None

    def end(self, *, kill: bool) -> None:
        """End the agent; its engines serve on. Call :meth:`back` when it works again."""
        assert self._process is not None
        self.measure()
        self.away.append((time.monotonic(), float("inf")))
        self._process.send_signal(signal.SIGKILL if kill else signal.SIGTERM)
        self._process.wait(60)

    def kill(self) -> None:
        """End an agent that is already away."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(60)

    def hang(self) -> None:
        """Stop the agent's process. Call :meth:`go_on`, and then :meth:`back`."""
        assert self._process is not None
        self.away.append((time.monotonic(), float("inf")))
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """The opposite of :meth:`hang`."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def back(self) -> None:
        """The agent works again: note until when it was away."""
        self.away[-1] = (self.away[-1][0], time.monotonic())

    def measure(self) -> int:
        """Return the agent's highest memory so far, in MiB."""
        if self._process is not None:
            with contextlib.suppress(OSError, AttributeError):
                status = Path(f"/proc/{self._process.pid}/status").read_text()
                found = re.search(r"VmHWM:\s+(\d+) kB", status)
                self._peaks.append(int(found[1]) // 1024)  # type: ignore[index]
        return max(self._peaks, default=0)

    def log(self) -> str:
        """The agent's log."""
        return (self.here / "agent.log").read_text(errors="replace")

    def tracebacks(self) -> list[str]:
        """The lines of the log before each traceback: it shows a bug of the agent."""
        lines = itertools.pairwise(self.log().splitlines())
        return [before[:300] for before, line in lines if _TRACEBACK in line]

    def waiting(self) -> int:
        """Return the number of writes on disk without a response."""
        with self._database() as connection:
            return sum(unfinished(connection).values())

    def quarantined(self) -> frozenset[str]:
        """Return the ids of the writes that the operator must decide about."""
        listed = sa.select(WRITES).where(WRITES.c.state.in_(_DECIDED_BY_OPERATOR))
        with self._database() as connection:
            writes = [from_row(dict(row)) for row in connection.execute(listed).mappings()]
        return frozenset(dict(write.headers)["x-write"] for write in writes)

    @contextlib.contextmanager
    def _database(self) -> Iterator[sa.Connection]:
        conf = cfg.ConfigOpts()
        setup.read(conf, [str(self._config)])
        engine = engine_of(conf)
        try:
            with engine.connect() as connection:
                yield connection
        finally:
            engine.dispose()

    def destroy(self, *, keep: bool = False) -> None:
        """End everything. ``keep``: leave the directory, with the logs and the journal."""
        if self._process is not None and self.alive():
            self._process.send_signal(signal.SIGCONT)
            self._process.terminate()
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait(10)
        if hasattr(self, "client"):
            self.client.close()
        for name in ("haproxy", "varnishd"):  # they outlive their agent
            with contextlib.suppress(OSError, ValueError):
                pid = int(json.loads((self.here / "run" / f"{name}.pid").read_text())["pid"])
                os.kill(pid, signal.SIGTERM)
        self._broker.close()
        if self.disk is not None:
            self.disk.destroy()
        if not keep:
            shutil.rmtree(self.here, ignore_errors=True)
