"""A real nova-scheduler, with RabbitMQ, MariaDB, Placement, and the records of two hosts.

``CACHEMIG_NOVA_PYTHON`` is the Python of the Nova to test; unset, this one. ``tools/nova-releases``
sets it.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path

import httpx

from tests.functional.journal.servers import MariaDB
from tests.functional.ports import free_port
from tests.functional.rpc.broker import Broker

ROOT = Path(__file__).parents[3]
CLIENT = Path(__file__).with_name("nova_client.py")
DATABASES = ("nova", "nova_api", "nova_cell0", "placement")
LIMIT = 120.0  # seconds
TOKEN = "admin"
WEIGHER = "nova_cachemig.scheduler.weights.PredictedLoadWeigher"
WORKERS = 3

_NOVA_CONF = """
[DEFAULT]
host = control
my_ip = 127.0.0.1
state_path = {home}
transport_url = {bus}
service_down_time = 3600
rpc_response_timeout = 30
log_file = {home}/scheduler.log
[oslo_concurrency]
lock_path = {home}
[database]
connection = {database}/nova
[api_database]
connection = {database}/nova_api
[placement]
auth_type = admin_token
token = admin
endpoint = {placement}
endpoint_override = {placement}
[scheduler]
workers = {workers}
[filter_scheduler]
weight_classes = {weigher}
enabled_filters = ComputeFilter
[cachemig_scheduler]
request_interval = 1
request_timeout = 2
"""
_PLACEMENT_CONF = """
[api]
auth_strategy = noauth2
[placement_database]
connection = {database}/placement
sync_on_startup = true
"""


class Cloud:
    """Everything but nova-scheduler, which a test starts and stops."""

    def __init__(self) -> None:
        self.python = os.environ.get("CACHEMIG_NOVA_PYTHON", sys.executable)
        self.broker = Broker()
        self.database = MariaDB()
        self.home = self.database.directory
        self.conf = self.home / "nova.conf"
        self.log = self.home / "scheduler.log"
        self._placement_port = free_port()
        self._placement: subprocess.Popen[bytes] | None = None

    def start(self, hosts: tuple[str, ...]) -> None:
        """Return once Placement and Nova's database know the hosts."""
        self.broker.start()
        uuids = {host: str(uuid.uuid4()) for host in hosts}
        self._create_databases()
        self._start_placement(uuids)
        self.conf.write_text(self._nova_conf())
        self.manage("api_db", "sync")
        self.manage("cell_v2", "map_cell0", "--database_connection", self._url("nova_cell0"))
        self.manage("db", "sync")
        self.manage("cell_v2", "create_cell", "--name", "cell1")
        self.client("hosts", *(f"{uuids[host]}={host}" for host in hosts))

    def close(self) -> None:
        """End all and leave nothing behind."""
        if self._placement is not None:
            self._placement.kill()
            self._placement.wait(10)
        self.broker.close()
        self.database.destroy()

    def ask(self, times: int) -> list[str]:
        """The hosts that nova-scheduler chooses for so many new instances, one after another."""
        chosen: list[str] = json.loads(self.client("ask", str(times)).splitlines()[-1])
        return chosen

    def client(self, *arguments: str, more: Path | None = None) -> str:
        """Run :mod:`.nova_client`; return what it prints. ``more``: another file of options."""
        files = ",".join(str(path) for path in (self.conf, more) if path is not None)
        return self._run([self.python, "-W", "ignore", str(CLIENT), files, *arguments])

    def manage(self, *arguments: str) -> None:
        """Run nova-manage."""
        program = str(Path(self.python).with_name("nova-manage"))
        self._run([program, "--config-file", str(self.conf), *arguments])

    def _run(self, command: list[str]) -> str:
        done = subprocess.run(
            command,
            env=_environment(eventlet=False),
            capture_output=True,
            text=True,
            timeout=LIMIT,
            check=False,
        )
        if done.returncode:
            raise AssertionError(f"{command}: {done.stdout[-3000:]}{done.stderr[-3000:]}")
        return done.stdout

    def _url(self, database: str = "") -> str:
        return f"mysql+pymysql://root@127.0.0.1:{self.database.port}/{database}".rstrip("/")

    def _create_databases(self) -> None:
        statements = ";".join(f"CREATE DATABASE {name}" for name in DATABASES)
        command = ["mariadb", "--no-defaults", "-h", "127.0.0.1", "-u", "root"]
        self._run([*command, "-P", str(self.database.port), "-e", statements])

    def _start_placement(self, uuids: dict[str, str]) -> None:
        (self.home / "placement.conf").write_text(_PLACEMENT_CONF.format(database=self._url()))
        serve = (
            "import sys; from wsgiref.simple_server import make_server;"
            "port = int(sys.argv.pop()); from placement.wsgi.api import application;"
            "make_server('127.0.0.1', port, application).serve_forever()"
        )
        with (self.home / "placement.log").open("ab") as output:
            self._placement = subprocess.Popen(
                [sys.executable, "-W", "ignore", "-c", serve, str(self._placement_port)],
                env=_environment(eventlet=False) | {"OS_PLACEMENT_CONFIG_DIR": str(self.home)},
                stdout=output,
                stderr=output,
            )
        self._await_placement(self._placement)
        headers = {"X-Auth-Token": TOKEN, "OpenStack-API-Version": "placement 1.39"}
        with httpx.Client(base_url=self._placement_url(), headers=headers) as client:
            for host, name in uuids.items():
                provider = {"name": host, "uuid": name}
                client.post("/resource_providers", json=provider).raise_for_status()
                inventory = {"VCPU": {"total": 1000}, "MEMORY_MB": {"total": 65536}}
                for number, (what, body) in enumerate(
                    (("inventories", inventory), ("traits", ["OWNER_NOVA"]))
                ):
                    made = {"resource_provider_generation": number, what: body}
                    client.put(f"/resource_providers/{name}/{what}", json=made).raise_for_status()

    def _await_placement(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + LIMIT
        while True:
            try:
                httpx.get(self._placement_url()).raise_for_status()
            except httpx.HTTPError as exc:
                if time.monotonic() > deadline or process.poll() is not None:
                    raise RuntimeError((self.home / "placement.log").read_text()) from exc
                time.sleep(0.2)  # it sends no notification
            else:
                return

    def _placement_url(self) -> str:
        return f"http://127.0.0.1:{self._placement_port}"

    def _nova_conf(self) -> str:
        return _NOVA_CONF.format(
            home=self.home,
            bus=self.broker.url,
            database=self._url(),
            placement=self._placement_url(),
            workers=WORKERS,
            weigher=WEIGHER,
        )


class Scheduler:
    """A nova-scheduler with :data:`WORKERS` workers, with eventlet or with native threads."""

    def __init__(self, cloud: Cloud, *, eventlet: bool) -> None:
        self._cloud = cloud
        cloud.log.unlink(missing_ok=True)
        program = str(Path(cloud.python).with_name("nova-scheduler"))
        with (cloud.home / "scheduler.out").open("wb") as output:
            self._process = subprocess.Popen(
                [program, "--config-file", str(cloud.conf)],
                env=_environment(eventlet=eventlet),
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def await_listening(self) -> None:
        """Wait until each worker listens; before that, RabbitMQ drops requests."""
        deadline = time.monotonic() + LIMIT
        queue = ["scheduler", str(WORKERS)]
        while queue not in self._cloud.broker.ctl("list_queues", "name", "consumers"):
            self._check_alive(deadline, "it does not listen")
            time.sleep(0.2)  # RabbitMQ sends no notification

    def lines(self, text: str) -> dict[int, list[str]]:
        """The lines of its log that contain ``text``, by the process that wrote them."""
        found: dict[int, list[str]] = {}
        for line in self.text().splitlines():
            head = re.match(r"\S+ \S+ (\d+) ", line)
            if head is not None and text in line:
                found.setdefault(int(head[1]), []).append(line)
        return found

    def text(self) -> str:
        """Its log."""
        return self._cloud.log.read_text() if self._cloud.log.exists() else ""

    def await_lines(self, text: str, processes: int) -> dict[int, list[str]]:
        """Wait until so many processes have logged ``text``."""
        deadline = time.monotonic() + LIMIT
        while len(found := self.lines(text)) < processes:
            self._check_alive(deadline, f"no {text!r} of {processes} processes")
            time.sleep(0.2)  # a log file sends no notification
        return found

    def _check_alive(self, deadline: float, why: str) -> None:
        if time.monotonic() > deadline or self._process.poll() is not None:
            output = (self._cloud.home / "scheduler.out").read_text()[-3000:]
            raise AssertionError(f"{why}:\n{self.text()[-6000:]}\n{output}")

    def close(self) -> None:
        """Kill it and its workers."""
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(10)


def _environment(*, eventlet: bool) -> dict[str, str]:
    native = "false" if eventlet else "true"
    return os.environ | {"PYTHONPATH": str(ROOT), "OS_NOVA_DISABLE_EVENTLET_PATCHING": native}
