"""A cache node with many services: the agent's real process, its engines, and RabbitMQ."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml
from oslo_config import cfg

from benchmarks.edgelib.rig import cpu_seconds, free_port
from benchmarks.servicelib.nova import Cloud, address_of, instance_of
from nova_cachemig.agent.services import files, stored
from nova_cachemig.rpc.agent_client import AgentClient
from tests.functional.rpc.broker import Broker

ROOT = Path(__file__).resolve().parents[2]
_CONF = """
[DEFAULT]
transport_url = {bus}
[agent]
state_dir = {here}/state
services_dir = {here}/services.d
[engine]
runtime_dir = {here}/run
start_timeout = 120
[nova]
auth_type = none
endpoint_override = http://127.0.0.1:{nova}
"""
_AGENT = "import sys; from nova_cachemig.cmd.start import agent; sys.exit(agent())"
_MANAGE = "import sys; from nova_cachemig.cmd.start import manage; sys.exit(manage())"


class Node:
    """``by``: name (all services share a front address) or address (each has its own)."""

    def __init__(self, services: int, by: str, cloud: Cloud, *, known: bool) -> None:
        """``known``: the agent was running before.

        So it has the guests' addresses and the parsed files.
        """
        self.here = Path(tempfile.mkdtemp(prefix="cmmany"))
        self._by, self.port = by, free_port()
        self._broker = Broker()
        self._process: subprocess.Popen[bytes] | None = None
        self._cloud = cloud
        for name in ("state", "services.d", "run"):
            (self.here / name).mkdir()
        listed = [self.entry(number) for number in range(services)]
        text = yaml.dump({"services": listed}, Dumper=yaml.CSafeDumper)
        (self.here / "services.d/all.yaml").write_text(text)
        if known:
            book = {
                f"s{n}": {"instance": instance_of(n), "address": address_of(n)}
                for n in range(services)
            }
            (self.here / "state/addresses.json").write_text(json.dumps(book))
            cache = files.Cache(self.here / "state" / stored.NAME)
            files.read(self.here / "services.d", cache)
            cache.save()

    def entry(self, number: int) -> dict[str, object]:
        """Return a service as in a services file."""
        own = f"127.4.{number // 250}.{1 + number % 250}"
        address = "127.0.0.1" if self._by == "name" else own
        entry: dict[str, object] = {
            "name": f"s{number}",
            "instance": instance_of(number),
            "port": self._cloud.guest_port,
            "listen": f"{address}:{self.port}",
        }
        return entry | ({"hosts": [f"s{number}.example"]} if self._by == "name" else {})

    def start(self, limit: float) -> float:
        """Start the agent; return the seconds until it listens for the hooks."""
        self._broker.start()
        values = {"bus": self._broker.url, "here": self.here, "nova": self._cloud.nova_port}
        (self.here / "agent.conf").write_text(_CONF.format(**values))
        own = cfg.ConfigOpts()
        own([], default_config_files=[], default_config_dirs=[])
        self.client = AgentClient(
            own, "nova-cachemig-agent", transport_url=self._broker.url, rpc_timeout=2.0
        )
        return self._run(limit)

    def restart(self, limit: float) -> float:
        """Stop the agent and start it again, beside the running engines; return the seconds."""
        assert self._process is not None
        self._process.terminate()
        self._process.wait(30)
        return self._run(limit)

    def _run(self, limit: float) -> float:
        began = time.monotonic()
        with (self.here / "agent.log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-c", _AGENT, "--config-file", str(self.here / "agent.conf")],
                stdout=log, stderr=log, cwd=ROOT,
            )  # fmt: skip
        while time.monotonic() < began + limit and self._process.poll() is None:
            with contextlib.suppress(Exception):
                if self.client.ping({})["listening"]:
                    return time.monotonic() - began
            time.sleep(0.1)
        raise RuntimeError(f"the agent does not listen: {self.here}/agent.log")

    def add(self, number: int) -> tuple[float, float, str]:
        """Add a service; return the seconds, the CPU seconds of the command, and its error."""
        entry = self.entry(number)
        hosts = entry.get("hosts", [])
        assert isinstance(hosts, list)
        before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
        done = subprocess.run(
            [
                *(sys.executable, "-c", _MANAGE, "--config-file", str(self.here / "agent.conf")),
                *("service", "add", str(entry["name"]), "--instance", str(entry["instance"])),
                *("--port", str(entry["port"]), "--listen", str(entry["listen"]), "--no-check"),
                *(word for host in hosts for word in ("--host", host)),
            ],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        seconds, after = time.monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        return seconds, cpu, done.stderr.strip() if done.returncode else ""

    def cpu(self) -> float:
        """Return the agent's CPU seconds so far."""
        assert self._process is not None
        return cpu_seconds([self._process.pid])

    def rss(self) -> float:
        """Return the agent's resident memory in MiB."""
        assert self._process is not None
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0]) / 1024

    def destroy(self, keep: str | None = None) -> None:
        """End everything. ``keep``: copy the agent's log to this file."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(30)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait(10)
        if hasattr(self, "client"):
            self.client.close()
        for name in ("haproxy", "varnishd"):  # they outlive their agent
            with contextlib.suppress(OSError, ValueError):
                saved = json.loads((self.here / "run" / f"{name}.pid").read_text())
                os.kill(int(saved["pid"]), signal.SIGTERM)
        self._broker.close()
        if keep is not None:
            with contextlib.suppress(OSError):
                shutil.copyfile(self.here / "agent.log", keep)
        shutil.rmtree(self.here, ignore_errors=True)
