"""The cache node: the agent's real process with its engines, and RabbitMQ."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml
from oslo_config import cfg

from benchmarks.edgelib.rig import cpu_seconds, family, free_port
from benchmarks.scalelib.guests import NOVA_PORT, PORT, address_of, instance_of
from benchmarks.scalelib.network import NOVA, ROOT
from nova_cachemig.rpc.agent_client import AgentClient
from tests.functional.rpc.broker import Broker

_CONF = """
[DEFAULT]
transport_url = {bus}
[agent]
state_dir = {here}/state
services_dir = {here}/services.d
[engine]
runtime_dir = {here}/run
cache_size = 256m
[nova]
auth_type = none
endpoint_override = http://{nova}:{nova_port}
"""
_PROGRAM = "import sys; from nova_cachemig.cmd.start import agent; sys.exit(agent())"


class Node:
    """``port``: the front address's, on 127.0.0.1, for all services by their host names."""

    def __init__(self, services: int) -> None:
        self.here = Path(tempfile.mkdtemp(prefix="cmscale"))
        self.port = free_port()
        self._broker = Broker()
        self._process: subprocess.Popen[bytes] | None = None
        self.client: AgentClient
        for name in ("state", "services.d", "run"):
            (self.here / name).mkdir()
        listed = [
            {"name": f"s{n}", "instance": instance_of(n), "port": PORT,
             "listen": f"127.0.0.1:{self.port}", "hosts": [f"s{n}.example"]}
            for n in range(services)
        ]  # fmt: skip
        (self.here / "services.d/all.yaml").write_text(yaml.safe_dump({"services": listed}))
        book = {
            f"s{n}": {"instance": instance_of(n), "address": address_of(n)} for n in range(services)
        }
        (self.here / "state/addresses.json").write_text(json.dumps(book))

    def start(self) -> None:
        """Start RabbitMQ and the agent; return when it listens."""
        self._broker.start()
        config = self.here / "agent.conf"
        values = {"bus": self._broker.url, "here": self.here, "nova": NOVA, "nova_port": NOVA_PORT}
        config.write_text(_CONF.format(**values))
        with (self.here / "agent.log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-c", _PROGRAM, "--config-file", str(config)],
                stdout=log, stderr=log, cwd=ROOT,
            )  # fmt: skip
        own = cfg.ConfigOpts()
        own([], default_config_files=[], default_config_dirs=[])
        self.client = AgentClient(
            own, "nova-cachemig-agent", transport_url=self._broker.url, rpc_timeout=30.0
        )
        end = time.monotonic() + 120
        while True:
            with contextlib.suppress(Exception):
                if self.client.ping({})["listening"]:
                    return
            if time.monotonic() > end or self._process.poll() is not None:
                raise RuntimeError(f"the agent does not listen: {self.here}/agent.log")
            time.sleep(0.2)

    def agent_cpu(self) -> float:
        """Return the agent's CPU seconds so far."""
        assert self._process is not None
        return cpu_seconds([self._process.pid])

    def engines_cpu(self) -> float:
        """Return the CPU seconds of HAProxy and Varnish so far."""
        return cpu_seconds(
            [pid for name in ("haproxy", "varnishd") for pid in family(self._pid(name))]
        )

    def agent_rss(self) -> float:
        """Return the agent's peak of resident memory in MiB."""
        assert self._process is not None
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) / 1024

    def agent_rss_now(self) -> float:
        """Return the agent's resident memory in MiB."""
        status = Path(f"/proc/{self.agent_pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0]) / 1024

    def agent_files(self) -> int:
        """Return the number of the agent's open files."""
        return len(list(Path(f"/proc/{self.agent_pid}/fd").iterdir()))

    @property
    def agent_pid(self) -> int:
        """The pid of the agent."""
        assert self._process is not None
        return self._process.pid

    async def modes(self) -> dict[str, str]:
        """Return the mode of each service in a handover, as HAProxy knows it."""
        rows = await self._map("state")
        return {row[1]: row[2].partition(":")[0] for row in rows}

    async def entries(self, name: str) -> int:
        """Return the number of entries of a map in HAProxy."""
        return len(await self._map(name))

    async def _map(self, name: str) -> list[list[str]]:
        reader, writer = await asyncio.open_unix_connection(
            str(self.here / "run/admin.sock"), limit=1 << 24
        )
        writer.write(f"show map {self.here}/run/{name}.map\n".encode())
        text = (await reader.read()).decode()
        writer.close()
        rows = [line.split(" ") for line in text.splitlines() if line]
        return [row for row in rows if len(row) == 3]

    def _pid(self, name: str) -> int:
        return int(json.loads((self.here / "run" / f"{name}.pid").read_text())["pid"])

    def destroy(self, keep: str | None = None) -> None:
        """End everything. ``keep``: copy the agent's log to this file."""
        if self._process is not None:
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
                os.kill(self._pid(name), signal.SIGTERM)
        self._broker.close()
        if keep is not None:
            shutil.copyfile(self.here / "agent.log", keep)
        shutil.rmtree(self.here, ignore_errors=True)


def fetch(path: str) -> str:
    """Return what the guests' process says at a path of its Nova."""
    with socket.create_connection((NOVA, NOVA_PORT), timeout=20) as sock:
        sock.sendall(f"GET {path} HTTP/1.1\r\nHost: nova\r\n\r\n".encode())
        with sock.makefile("rb") as file:
            length = 0
            while (line := file.readline()) not in {b"\r\n", b""}:
                if line.lower().startswith(b"content-length:"):
                    length = int(line.split(b":")[1])
            return file.read(length).decode()
