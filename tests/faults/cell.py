"""One cell of the fault matrix: real Nova services, with nova-cachemig, on a virtual host."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import time
import unittest
from typing import Any, ClassVar

from nova_cachemig.rpc import agent as contract
from nova_cachemig.rpc.server import RpcServer
from tests.faults.services import PROGRAMS, NovaServices
from tests.functional.scheduler.cloud import LIMIT, ROOT, Cloud
from tests.unit.rpc.endpoints import RecordingEndpoint, new_conf

TOPIC = "nova-cachemig-agent"
LISTENING = "cachemig: agent cache1 is listening"
ABSENT = "cachemig: no agent is listening"
WATCHING = "cachemig: listening to libvirt"
TIMEOUT = 2.0
"""[cachemig] rpc_timeout: the longest delay of the first migration after a fault."""
SLACK = 1.0
MIGRATIONS = 3

_CONF = """
[DEFAULT]
transport_url = {bus}
host = {host}
compute_driver = {compute_driver}
state_path = {home}
instances_path = {home}/instances
[scheduler]
workers = 1
[conductor]
workers = 1
[oslo_messaging_notifications]
driver = {driver}
[filter_scheduler]
weight_classes = {weighers}
[cachemig]
rpc_timeout = 2
{cachemig}
[libvirt]
virt_type = qemu
cpu_mode = none
connection_uri = {libvirt}
{more}
"""
NOVAS_WEIGHERS = "nova.scheduler.weights.all_weighers"
WEIGHERS = f"{NOVAS_WEIGHERS},nova_cachemig.scheduler.weights.PredictedLoadWeigher"


class Cell(unittest.TestCase):
    """A cell has its own virtual host and compute host, on one database.

    The fake driver of Nova keeps no identity of the host, which nova-compute needs to start again.
    """

    cloud: Cloud
    hosts: ClassVar[tuple[str, ...]] = ()
    """Hosts with a record in the database, besides."""

    @classmethod
    def setUpClass(cls) -> None:
        for name in ("oslo.messaging", "oslo_messaging", "amqp", "nova_cachemig.rpc"):
            logging.getLogger(name).setLevel(logging.CRITICAL)  # the faults are provoked here
        cls.cloud = Cloud()
        cls.addClassCleanup(cls.cloud.close)
        cls.cloud.start(cls.hosts)
        (cls.cloud.home / "compute").mkdir()

    def setUp(self) -> None:
        self.vhost = self._testMethodName
        self.cloud.broker.ctl("add_vhost", self.vhost)
        self.cloud.broker.ctl("set_permissions", "-p", self.vhost, "guest", ".*", ".*", ".*")
        self.home = self.cloud.home / self.vhost
        self.home.mkdir()
        self.conf = self.home / "cell.conf"
        self.started = self.doctor_says = "-"
        self.waits: list[float] = []
        self.endpoint = RecordingEndpoint()
        self.libvirt = ""

    # -- the parts of a cell -----------------------------------------------------------------

    def url(self, login: str = "guest:guest", vhost: str = "") -> str:
        return self.cloud.broker.address(vhost or self.vhost, login)

    def configure(self, cachemig: str = "", *, ours: bool = True, more: str = "") -> None:
        """Write the file. ``self.libvirt``: a URI, for Nova's libvirt driver."""
        compute_driver, home = "fake.FakeDriver", self.cloud.home / "compute"
        if self.libvirt:  # it keeps the identity of its host in its own directory
            compute_driver, home = "libvirt.LibvirtDriver", self.home
        self.conf.write_text(
            _CONF.format(
                bus=self.url(),
                host=self.vhost,
                home=home,
                compute_driver=compute_driver,
                libvirt=self.libvirt,
                driver="cachemig" if ours else "noop",
                weighers=WEIGHERS if ours else NOVAS_WEIGHERS,
                cachemig=cachemig,
                more=more,
            )
        )

    def services(self, *, installed: bool = True) -> NovaServices:
        services = NovaServices(self.cloud, self.conf, self.vhost, installed=installed)
        self.addCleanup(services.close)
        return services

    def start_nova(self) -> NovaServices:
        services = self.services()
        self.started = f"{services.start():.0f} s"
        return services

    def start_agent(self) -> RpcServer:
        server = contract.server(
            new_conf(), self.endpoint, host="cache1", topic=TOPIC, transport_url=self.url()
        )
        server.start()
        self.addCleanup(server.stop)
        return server

    def start_forecaster(self) -> subprocess.Popen[bytes]:
        path = self.home / "forecaster.conf"
        path.write_text(
            f"[DEFAULT]\ntransport_url = {self.url()}\n"
            f"[telemetry]\nhistory_file = {self.home}/h.npz\n"
        )
        main = "import sys; from nova_cachemig.cmd.start import forecaster; sys.exit(forecaster())"
        with (self.home / "forecaster.out").open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-W", "ignore", "-c", main, "--config-file", str(path)],
                env=os.environ | {"PYTHONPATH": str(ROOT)},
                stdout=output,
                stderr=output,
            )
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def await_queue(self, name: str) -> None:
        """Wait until a queue has a consumer."""
        deadline = time.monotonic() + LIMIT
        while [name, "1"] not in self.cloud.broker.ctl(
            "list_queues", "-p", self.vhost, "name", "consumers"
        ):
            self.assertLess(time.monotonic(), deadline, f"no consumer of {name}")
            time.sleep(0.5)  # RabbitMQ sends no notification

    # -- what each cell must show ------------------------------------------------------------

    def assert_nova_serves(self, services: NovaServices) -> None:
        """nova-compute responds to an RPC, and the scheduler, the conductor and it live on."""
        call = "uptime" if self.libvirt else "reach"
        self.cloud.client(call, self.vhost, more=self.conf)
        self.assertEqual(3, len(services.running()))
        for program in PROGRAMS:
            self.assertNotIn("nova_cachemig/", services.text(program))  # in no traceback

    def assert_migrations_wait(self, first: float, then: float = 0.5) -> None:
        """Announce migrations as nova-compute does; the waits have at most these seconds."""
        text = self.cloud.client("notify", str(MIGRATIONS), more=self.conf)
        self.waits = json.loads(text.splitlines()[-1])
        self.assertLessEqual(self.waits[0], first + SLACK, self.waits)
        self.assertLessEqual(max(self.waits[1:]), then, self.waits)

    def assert_doctor(self, check: str | None, what: str = "") -> None:
        """The doctor fails in this check, with this text; None: in no check."""
        failed = self.doctor()
        if not self.libvirt:  # the fake driver has none
            failed.pop("libvirt.connection", None)
        if check is None:
            self.assertEqual({}, failed)
            self.doctor_says = "no failure"
            return
        self.assertIn(what, failed.get(check, ""), failed)
        self.doctor_says = f"{check}: {what}"

    def doctor(self) -> dict[str, str]:
        """Run the doctor for Nova's files; return its finding for each check that failed."""
        manage = "import sys; from nova_cachemig.cmd.start import manage; sys.exit(manage())"
        done = subprocess.run(
            [
                *(sys.executable, "-W", "ignore", "-c", manage, "doctor", "-f", "json"),
                *("--nova-conf", str(self.cloud.conf), "--nova-conf", str(self.conf)),
            ],
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=LIMIT,
            check=False,
        )
        findings: list[dict[str, Any]] = json.loads(done.stdout)
        return {one["check"]: one["what"] for one in findings if one["status"] == "failed"}
