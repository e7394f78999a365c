"""A real Prometheus server, and an exporter with the load that a test sets."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from wsgiref.simple_server import WSGIServer

import httpx
import prometheus_client
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from tests.functional.ports import free_port

START_LIMIT = 30.0
SCRAPE = 0.2  # seconds
_ONE_JOB: Final[Mapping[str, int | None]] = {"all": None}


class Exporter(Collector):
    """node_exporter's and a libvirt exporter's counters of one host, which rise with the clock."""

    def __init__(
        self,
        name: str,
        load: float,
        cpus: int,
        instances: dict[str, float],
        *,
        nodename: str = "",
        target: str = "",
    ) -> None:
        """``target``: the address in the label "instance" of the jobs of ``SPLIT``."""
        self.name, self.target, self._nodename = name, target, nodename
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
        time_used = CounterMetricFamily(
            "libvirt_domain_info_cpu_time_seconds", "CPU time", labels=["domain"]
        )
        info = GaugeMetricFamily(
            "libvirt_domain_openstack_info", "metadata", labels=["domain", "instance_id"]
        )
        for number, (uuid, load) in enumerate(self._instances.items()):
            time_used.add_metric([f"instance-{number}"], 1000 + passed * load / 100)
            info.add_metric([f"instance-{number}", uuid], 1)
        yield from (time_used, info)
        uname = GaugeMetricFamily("node_uname_info", "uname(2)", labels=["nodename", "release"])
        uname.add_metric([self._nodename, "6.1.0-44-amd64"], 1)
        yield uname

    def close(self) -> None:
        """Stop responding."""
        self._server[0].shutdown()
        self._server[0].server_close()


SPLIT: Final = {"node": 9100, "libvirt": 9177}
"""Jobs as in a real cloud, with their ports: each has the metrics that begin with its name."""


def _job(name: str, port: int | None, exporters: list[Exporter]) -> dict[str, Any]:
    targets = []
    for exporter in exporters:
        labels = {"host": f"{exporter.name}:9100"}
        if port is not None:
            labels["instance"] = f"{exporter.target}:{port}"
        targets.append({"targets": [f"127.0.0.1:{exporter.port}"], "labels": labels})
    keep = {"source_labels": ["__name__"], "regex": f"{name}_.*", "action": "keep"}
    return {
        "job_name": name,
        "static_configs": targets,
        "metric_relabel_configs": [keep] if port is not None else [],
    }


class Prometheus:
    """Scrapes exporters; a test can stop and start it repeatedly; the port stays the same.

    ``web`` is the content of its web.config.file; its files are relative to ``home``. ``client``
    are the arguments with which httpx gets access then.
    """

    def __init__(
        self, exporters: list[Exporter], jobs: Mapping[str, int | None] = _ONE_JOB
    ) -> None:
        program = shutil.which("prometheus")
        if program is None:
            raise RuntimeError("prometheus is not installed (apt install prometheus)")
        self._program = program
        self.home = Path(tempfile.mkdtemp(prefix="cachemig-prometheus-"))
        self.web = ""
        self.client: dict[str, Any] = {}
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        interval = f"{SCRAPE * 1000:.0f}ms"
        config = {
            "global": {"scrape_interval": interval, "scrape_timeout": interval},
            "scrape_configs": [_job(name, port, exporters) for name, port in jobs.items()],
        }
        (self.home / "prometheus.yml").write_text(json.dumps(config))  # JSON is YAML

    @property
    def url(self) -> str:
        """Its base URL."""
        scheme = "https" if "tls_server_config" in self.web else "http"
        return f"{scheme}://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it; returns when it is ready."""
        (self.home / "web.yml").write_text(self.web)
        with (self.home / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    self._program,
                    f"--config.file={self.home}/prometheus.yml",
                    f"--storage.tsdb.path={self.home}/data",
                    f"--web.listen-address=127.0.0.1:{self.port}",
                    f"--web.config.file={self.home}/web.yml",
                    "--log.level=warn",
                ],
                stdout=log,
                stderr=log,
                cwd=self.home,
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
        options = {"timeout": 2.0, "trust_env": False} | self.client
        with httpx.Client(**options) as client:  # one, because it loads the system's certificates
            while time.monotonic() < deadline:
                try:
                    if good(client.get(self.url + path, **request)):
                        return
                except (httpx.HTTPError, ValueError, KeyError):
                    pass  # it is not there yet
                time.sleep(0.05)  # an external process: poll it
        raise RuntimeError(f"not good in time: {path}: {(self.home / 'log').read_text()[-2000:]}")

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
        shutil.rmtree(self.home, ignore_errors=True)
