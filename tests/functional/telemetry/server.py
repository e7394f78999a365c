"""A real Prometheus server, and an exporter with the load that a test sets."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import threading
import time
from pathlib import Path
from typing import Any
from wsgiref.simple_server import WSGIServer

import httpx
import prometheus_client
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

from tests.functional.rpc.broker import free_port

START_LIMIT = 30.0
SCRAPE = 0.2  # seconds


class Exporter(Collector):
    """node_exporter's and a libvirt exporter's counters of one host, which rise with the clock."""

    def __init__(self, name: str, load: float, cpus: int, instances: dict[str, float]) -> None:
        self.name = name
        self._load, self._cpus, self._instances = load, cpus, instances
        self._began = time.time()
        registry = prometheus_client.CollectorRegistry(auto_describe=False)
        registry.register(self)
        self.port = free_port()
        self._server: tuple[WSGIServer, threading.Thread] = prometheus_client.start_http_server(
            self.port, "127.0.0.1", registry
        )

    def collect(self) -> Any:
        """Return the metrics of a scrape."""
        passed = time.time() - self._began
        cpu = CounterMetricFamily("node_cpu_seconds", "by mode", labels=["cpu", "mode"])
        for number in range(self._cpus):
            cpu.add_metric([str(number), "idle"], 1000 + passed * (1 - self._load / 100))
            cpu.add_metric([str(number), "user"], 1000 + passed * self._load / 100)
        yield cpu
        used = CounterMetricFamily("domain_cpu_seconds", "CPU time", labels=["instance_id"])
        for uuid, load in self._instances.items():
            used.add_metric([uuid], 1000 + passed * load / 100)
        yield used

    def close(self) -> None:
        """Stop responding."""
        self._server[0].shutdown()
        self._server[0].server_close()


class Prometheus:
    """Scrapes exporters; a test can stop and start it repeatedly; the port stays the same."""

    def __init__(self, exporters: list[Exporter]) -> None:
        program = shutil.which("prometheus")
        if program is None:
            raise RuntimeError("prometheus is not installed (apt install prometheus)")
        self._program = program
        self._home = Path(tempfile.mkdtemp(prefix="cachemig-prometheus-"))
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        targets = "".join(
            f"      - targets: ['127.0.0.1:{e.port}']\n        labels: {{host: '{e.name}:9100'}}\n"
            for e in exporters
        )
        (self._home / "prometheus.yml").write_text(
            f"global: {{scrape_interval: {SCRAPE * 1000:.0f}ms, scrape_timeout: 200ms}}\n"
            f"scrape_configs:\n  - job_name: node\n    static_configs:\n{targets}"
        )

    @property
    def url(self) -> str:
        """Its base URL."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it; returns when it is ready."""
        with (self._home / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    self._program,
                    f"--config.file={self._home}/prometheus.yml",
                    f"--storage.tsdb.path={self._home}/data",
                    f"--web.listen-address=127.0.0.1:{self.port}",
                    "--log.level=warn",
                ],
                stdout=log,
                stderr=log,
                cwd=self._home,
            )
        self.wait("/-/ready", lambda response: response.status_code == 200)

    def wait_series(self, query: str, number: int) -> None:
        """Return when an instant query gives ``number`` series."""
        self.wait(
            "/api/v1/query",
            lambda response: len(response.json()["data"]["result"]) >= number,
            params={"query": query},
        )

    def wait(self, path: str, good: Any, **request: Any) -> None:
        """Poll until ``good`` accepts a response."""
        deadline = time.monotonic() + START_LIMIT
        while time.monotonic() < deadline:
            try:
                if good(httpx.get(self.url + path, timeout=2.0, trust_env=False, **request)):
                    return
            except (httpx.HTTPError, ValueError, KeyError):
                pass  # it is not there yet
            time.sleep(0.05)  # an external process: poll it
        raise RuntimeError(f"not good in time: {path}: {(self._home / 'log').read_text()[-2000:]}")

    def stop(self) -> None:
        """Stop it; its data stay."""
        process, self._process = self._process, None
        if process is not None:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(10)

    def close(self) -> None:
        """Stop it and delete its data."""
        self.stop()
        shutil.rmtree(self._home, ignore_errors=True)
