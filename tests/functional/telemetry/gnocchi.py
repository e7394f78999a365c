"""A private Gnocchi: its API from its own package, on PostgreSQL and files."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx

from tests.functional.journal.servers import PostgreSQL
from tests.functional.ports import free_port

START_LIMIT = 60.0
GRANULARITY = 300
USER = "admin"
"""In this mode of Gnocchi, the name is all: there is no password."""
CONF = """
[DEFAULT]
coordination_url = file://{home}/coordination
[indexer]
url = {database}
[storage]
driver = file
file_basepath = {home}/data
[api]
auth_mode = basic
"""
_SERVE = """
import sys
from wsgiref.simple_server import make_server
port = int(sys.argv.pop())
from gnocchi.rest.wsgi import application
make_server("127.0.0.1", port, application).serve_forever()
"""
# As Ceilometer creates them; back_window lets a test store measures of the past.
_POLICY = {
    "name": "ceilometer-low-rate",
    "aggregation_methods": ["mean", "rate:mean"],
    "back_window": 288,
    "definition": [{"granularity": f"{GRANULARITY} seconds", "timespan": "30 days"}],
}
_STRING = {"type": "string", "min_length": 0, "max_length": 255, "required": True}
_TYPES = {"nova_compute": {"host_name": _STRING}, "instance": {"host": _STRING}}


class Gnocchi:
    """A test can stop and start its API repeatedly; the port stays the same."""

    def __init__(self) -> None:
        self._database = PostgreSQL()
        self._home = self._database.directory
        self._conf = self._home / "gnocchi.conf"
        self._conf.write_text(CONF.format(home=self._home, database=self._database.url))
        self._process: subprocess.Popen[bytes] | None = None
        self._port = free_port()
        self.url = f"http://127.0.0.1:{self._port}"
        self._client = httpx.Client(base_url=self.url, auth=(USER, ""), timeout=START_LIMIT)

    def create(self) -> None:
        """Create the tables, start the API, and create what Ceilometer does at its start."""
        upgrade = Path(sys.executable).with_name("gnocchi-upgrade")
        done = subprocess.run(
            [upgrade, "--config-file", self._conf], capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise RuntimeError(done.stderr[-3000:])
        self.start()
        self._send("POST", "archive_policy", _POLICY)
        for name, attributes in _TYPES.items():
            self._send("POST", "resource_type", {"name": name, "attributes": attributes})

    def start(self) -> None:
        """Start the API; returns when it responds."""
        with (self._home / "api.log").open("ab") as log:
            self._process = process = subprocess.Popen(
                [
                    *(sys.executable, "-W", "ignore", "-c", _SERVE),
                    *("--config-file", self._conf, str(self._port)),
                ],
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + START_LIMIT
        while True:
            try:
                self._client.get("/v1/").raise_for_status()
            except httpx.HTTPError as exc:
                if time.monotonic() > deadline or process.poll() is not None:
                    raise RuntimeError((self._home / "api.log").read_text()[-3000:]) from exc
                time.sleep(0.1)  # it sends no notification
            else:
                return

    def stop(self) -> None:
        """Stop the API; its data stay."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait(10)

    def close(self) -> None:
        """Stop everything and delete its data."""
        self.stop()
        self._client.close()
        self._database.destroy()

    def resource(self, kind: str, attributes: dict[str, str], metric: str) -> str:
        """Create a resource with one metric; the metric's id."""
        policy = {"archive_policy_name": _POLICY["name"]}
        found = self._send("POST", f"resource/{kind}", attributes | {"metrics": {metric: policy}})
        return str(found["metrics"][metric])

    def end(self, kind: str, resource: str) -> None:
        """Mark a resource as gone, as Ceilometer does when an instance is deleted."""
        self._send("PATCH", f"resource/{kind}/{resource}", {"ended_at": time.time()})

    def measure(self, metric: str, values: Mapping[float, float]) -> None:
        """Store a value for each time (UNIX s), and let Gnocchi aggregate them."""
        measures = [{"timestamp": at, "value": value} for at, value in values.items()]
        self._send("POST", f"metric/{metric}/measures", measures)
        self._send("GET", f"metric/{metric}/measures?refresh=true")

    def _send(self, method: str, path: str, body: Any = None) -> Any:
        response = self._client.request(method, f"/v1/{path}", json=body)
        response.raise_for_status()
        return response.json() if response.content else None
