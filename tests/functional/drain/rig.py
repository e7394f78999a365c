"""The whole agent as a separate process, with RabbitMQ, HAProxy, Varnish and a load."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.request
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml
from oslo_config import cfg

from nova_cachemig.agent.journal.offline import engine_of
from nova_cachemig.agent.journal.queries import unfinished
from nova_cachemig.conf import setup
from nova_cachemig.rpc.agent_client import AgentClient
from tests.functional.ports import free_port
from tests.functional.rpc.broker import Broker
from tests.unit.rpc.endpoints import new_conf

ROOT = Path(__file__).resolve().parents[3]
SERVICE = "shop"
INSTANCE = "6f70656e-7374-4163-8b21-00000000d7a1"

_CONF = """
[DEFAULT]
transport_url = {bus}
[agent]
topic = {topic}
state_dir = {here}/state
services_dir = {here}/services.d
{options}
[engine]
runtime_dir = {here}/run
cache_size = 64m
[nova]
auth_type = none
endpoint_override = {nova}
"""


def until(condition: Callable[[], object], what: str, seconds: float = 30.0) -> None:
    """Wait for a change that other processes make without a notification."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds:.0f} s: {what}")
        time.sleep(0.05)


def while_it_goes_on(
    condition: Callable[[], object],
    progress: Callable[[], object],
    what: str,
    seconds: float = 30.0,
) -> None:
    """As :func:`until`, but each change of ``progress`` starts the time again.

    A busy machine makes slow progress, a fault makes none.
    """
    end, before = time.monotonic() + seconds, progress()
    while not condition():
        now, found = time.monotonic(), progress()
        if found != before:
            end, before = now + seconds, found
        if now > end:
            raise AssertionError(f"no progress for {seconds:.0f} s: {what}")
        time.sleep(0.05)


class WholeAgent:
    """``front`` is the users' address. Ends all processes that it started, and the engines."""

    def __init__(
        self,
        case: unittest.TestCase,
        guest: str,
        guest_port: int = 80,
        nova: str = "http://127.0.0.1:9",
    ) -> None:
        self._case = case
        self._nova = nova
        self.here = Path(tempfile.mkdtemp(prefix="cmdrain"))
        case.addCleanup(shutil.rmtree, self.here, ignore_errors=True)
        for name in ("state", "services.d", "run"):
            (self.here / name).mkdir()
        self.agent_options: tuple[str, ...] = ()  # lines of [agent]
        self.guest = f"http://{guest}:{guest_port}"
        port = free_port()
        self.front = f"http://127.0.0.1:{port}"
        self._services(port, guest_port)
        # Nova is away; the agent knows the guest's address from before
        book = {SERVICE: {"instance": INSTANCE, "address": guest}}
        (self.here / "state" / "addresses.json").write_text(json.dumps(book))
        self.topic = f"agent-{uuid.uuid4()}"  # the broker has queues of other tests
        self.config = self.here / "agent.conf"

    def _services(self, port: int, guest_port: int) -> None:
        service = {
            "name": SERVICE,
            "instance": INSTANCE,
            "port": guest_port,
            "listen": f"127.0.0.1:{port}",
        }
        path = self.here / "services.d" / "shop.yaml"
        path.write_text(yaml.safe_dump({"services": [service]}))

    def start(self) -> AgentClient:
        """Back when users are served; the client speaks as nova-compute's hook does."""
        bus = Broker.shared().url
        options = "\n".join(self.agent_options)
        values = {"bus": bus, "topic": self.topic, "here": self.here, "nova": self._nova}
        self.config.write_text(_CONF.format(options=options, **values))
        self.run()
        client = AgentClient(new_conf(), self.topic, transport_url=bus, rpc_timeout=10.0)
        self._case.addCleanup(client.close)
        until(self._served, "the agent serves its users", 90)
        return client

    def run(self) -> None:
        """Start the agent's process, after a :meth:`stop` beside the running engines."""
        program = "import sys; from nova_cachemig.cmd.start import agent; sys.exit(agent())"
        with (self.here / "agent.log").open("ab") as log:
            agent = subprocess.Popen(
                [sys.executable, "-c", program, "--config-file", str(self.config)],
                stdout=log,
                stderr=log,
                cwd=ROOT,
            )
        self._process = agent
        self._case.addCleanup(self._end, agent)

    def stop(self) -> None:
        """End the agent. Its engines serve on until the test ends."""
        self._process.terminate()
        self._process.wait(20)

    def kill(self) -> None:
        """End the agent as a crash does. Its engines serve on."""
        self._process.kill()
        self._process.wait(20)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the agent alone, not to its engines."""
        self._process.send_signal(number)

    def _served(self) -> bool:
        with contextlib.suppress(OSError):
            return urllib.request.urlopen(f"{self.front}/health", timeout=2).status == 200
        return False

    def log(self) -> str:
        """The agent's log."""
        return (self.here / "agent.log").read_text(errors="replace")

    def waiting(self) -> int:
        """Number of writes on disk without a response of the guest."""
        conf = cfg.ConfigOpts()
        setup.read(conf, [str(self.config)])
        engine = engine_of(conf)
        try:
            with engine.connect() as connection:
                return unfinished(connection).get(SERVICE, 0)
        finally:
            engine.dispose()

    def measure(self, *words: str) -> subprocess.Popen[str]:
        """``tools/measure`` as its own process."""
        return subprocess.Popen(
            [sys.executable, str(ROOT / "tools" / "measure"), *words],
            stdout=subprocess.PIPE,
            text=True,
        )

    def _end(self, agent: subprocess.Popen[Any]) -> None:
        agent.terminate()
        try:
            agent.wait(20)
        except subprocess.TimeoutExpired:
            agent.kill()
            agent.wait(10)
        for name in ("haproxy", "varnishd"):  # they outlive their agent
            with contextlib.suppress(OSError, ValueError):
                pid = int(json.loads((self.here / "run" / f"{name}.pid").read_text())["pid"])
                os.kill(pid, signal.SIGTERM)
                until(lambda pid=pid: not Path(f"/proc/{pid}").exists(), f"{name} ends")  # type: ignore[misc]
