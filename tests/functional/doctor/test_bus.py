"""The doctor names each fault of a real RabbitMQ, and the agent that does not listen."""

from __future__ import annotations

import contextlib
import json
import logging
import subprocess
import sys
import tempfile
import unittest
from collections.abc import Iterator, Sequence
from pathlib import Path

import amqp

from nova_cachemig.doctor import broker, compute_bus, context, runner
from nova_cachemig.doctor import bus as doctor_bus
from nova_cachemig.doctor.context import Context
from nova_cachemig.doctor.runner import Check
from nova_cachemig.doctor.verdict import Status
from nova_cachemig.rpc import agent as contract
from nova_cachemig.rpc import bus, rabbit
from nova_cachemig.rpc import connection as link
from nova_cachemig.rpc.server import RpcServer
from tests.functional.ports import free_port
from tests.functional.rpc.broker import Broker
from tests.unit.rpc.endpoints import RecordingEndpoint, new_conf

ROOT = Path(__file__).resolve().parents[3]
TOPIC = "nova-cachemig-agent"
OURS = "^nova-cachemig.*$"
WRITE = r"^(nova-cachemig.*|amq\.default)$"

Shown = dict[str, tuple[Status, str, str]]
"""Check → status, what, remedy."""


def shown(checks: Sequence[Check]) -> Shown:
    """Run the checks."""
    found = [(one.check, one.verdict) for one in runner.run(checks)]
    return {check: (v.status, v.what, v.remedy) for check, v in found}


class BusTest(unittest.TestCase):
    broker: Broker

    @classmethod
    def setUpClass(cls) -> None:
        for name in ("oslo.messaging", "oslo_messaging", "amqp", "nova_cachemig.rpc"):
            logging.getLogger(name).setLevel(logging.CRITICAL)  # they log what is provoked here
        cls.broker = Broker()
        cls.addClassCleanup(cls.broker.close)
        cls.broker.start()
        cls.broker.ctl("add_user", "cachemig", "secret")

    def setUp(self) -> None:
        here = tempfile.TemporaryDirectory()
        self.addCleanup(here.cleanup)
        self.here = Path(here.name)
        self.vhost = self._testMethodName
        self.broker.ctl("add_vhost", self.vhost)
        self.addCleanup(self.broker.ctl, "delete_vhost", self.vhost)
        self.grant("guest", ".*", ".*", ".*")

    def grant(self, user: str, *rights: str) -> None:
        self.broker.ctl("set_permissions", "-p", self.vhost, user, *rights)

    def configured(self, url: str) -> Path:
        path = self.here / "agent.conf"
        path.write_text(
            f"[DEFAULT]\ntransport_url = {url}\n[agent]\nhost = cache1\nstate_dir = {self.here}\n"
            f"services_dir = {self.here}\n[engine]\nruntime_dir = {self.here}/run\n"
        )
        return path

    def found(self, url: str) -> Shown:
        """The findings about the bus of the agent, which has one per check."""
        conf = context.read_agent([str(self.configured(url))])
        return shown(doctor_bus.checks(Context(conf, None)))

    def computes(self, text: str) -> Shown:
        """The findings about the bus of nova-compute."""
        nova = self.here / "nova.conf"
        nova.write_text(text)
        return shown(compute_bus.checks(Context(None, context.read_nova([str(nova)]))))

    def assert_failed(self, found: Shown, check: str, what: str, remedy: str) -> None:
        self.assertEqual(Status.FAILED, found[check][0], found)
        self.assertIn(what, found[check][1])
        self.assertIn(remedy, found[check][2])

    def url(self, login: str = "guest:guest", vhost: str = "", query: str = "") -> str:
        return f"rabbit://{login}@127.0.0.1:{self.broker.port}/{vhost or self.vhost}{query}"

    @contextlib.contextmanager
    def agent(self) -> Iterator[RpcServer]:
        server = contract.server(
            new_conf(), RecordingEndpoint(), host="cache1", topic=TOPIC, transport_url=self.url()
        )
        server.start()
        try:
            self.assertTrue(server.wait_listening(20))
            yield server
        finally:
            server.stop()

    def objects(self) -> set[str]:
        """Names of all queues and exchanges."""
        rows = [
            row
            for what in ("queues", "exchanges")
            for row in self.broker.ctl(f"list_{what}", "-p", self.vhost, "name")
        ]
        return {name for [name] in rows if not name.startswith(rabbit.REPLIES)}

    def test_all_is_well_and_nothing_changes(self) -> None:
        with self.agent():
            before = self.objects()
            found = self.found(self.url())
            self.assertEqual(before, self.objects())
        self.assertEqual(Status.WARNING, found.pop("bus.forecaster")[0])  # optional
        self.assertEqual({Status.OK}, {status for status, _, _ in found.values()}, found)
        self.assertIn("cache1", found["bus.agent"][1])

    def test_the_bus_is_down(self) -> None:
        found = self.found(f"rabbit://guest:guest@127.0.0.1:{free_port()}/")
        self.assert_failed(found, "bus.connection", "refused", "Start RabbitMQ")
        self.assertEqual(Status.SKIPPED, found["bus.agent"][0])

    def test_the_name_is_unknown(self) -> None:
        found = self.found("rabbit://guest:guest@rabbit.invalid/")
        self.assert_failed(found, "bus.connection", "cannot be resolved", "transport_url")

    def test_one_of_two_nodes_is_down(self) -> None:
        found = self.found(f"rabbit://guest:guest@127.0.0.1:{free_port()},{self.url()[9:]}")
        status, what, _ = found["bus.connection"]
        self.assertEqual(Status.WARNING, status)
        self.assertIn(f"In use: 127.0.0.1:{self.broker.port}", what)

    def test_the_password_is_wrong(self) -> None:
        found = self.found(self.url("guest:wrong"))
        self.assert_failed(found, "bus.connection", "refuses user 'guest'", "change_password")

    def test_the_virtual_host_is_missing(self) -> None:
        found = self.found(self.url(vhost="nova_cell1"))
        self.assert_failed(found, "bus.connection", "'nova_cell1' does not exist", "add_vhost")

    def test_tls_is_on_one_side_only(self) -> None:
        found = self.found(self.url(query="?ssl=1"))
        self.assert_failed(found, "bus.connection", "TLS handshake", "speaks TLS")

    def test_a_url_that_cannot_work(self) -> None:
        for url, words in (
            ("kafka://127.0.0.1/", "no RPC"),
            (self.url(query="?ssl=maybe"), "ssl=maybe"),
            (self.url(query="?ssl=1&ssl_version=maybe"), "ssl_version=maybe"),
        ):
            with self.subTest(url):
                self.assert_failed(self.found(url), "bus.connection", words, "Set [DEFAULT] trans")
                found = self.computes(f"[DEFAULT]\ntransport_url = {url}\n")
                self.assert_failed(found, "compute_bus.connection", words, "of nova.conf")

    def test_the_user_has_no_access(self) -> None:
        found = self.found(self.url("cachemig:secret"))
        self.assert_failed(found, "bus.connection", "may not use", "set_permissions")

    def test_each_missing_right_is_named(self) -> None:
        for right, granted in {
            "configure": ("^$", WRITE, OURS),
            "write": (OURS, "^$", OURS),
            "write on amq.default": (OURS, "^nova-cachemig.*$", OURS),
            "read": (OURS, WRITE, "^$"),
        }.items():
            with self.subTest(right):
                self.grant("cachemig", *granted)
                found = self.found(self.url("cachemig:secret"))
                self.assert_failed(found, "bus.rights", f"lacks the right: {right}", "set_perm")
        self.grant("cachemig", OURS, WRITE, OURS)
        self.assertEqual(Status.OK, self.found(self.url("cachemig:secret"))["bus.rights"][0])
        self.assertEqual(set(), {name for name in self.objects() if "cachemig" in name})

    def test_no_agent_listens(self) -> None:
        found = self.found(self.url())
        self.assert_failed(found, "bus.agent", "No agent listens", "Start nova-cachemig-agent")

    def test_an_exchange_and_a_queue_with_other_flags(self) -> None:
        connection = amqp.Connection(f"127.0.0.1:{self.broker.port}", virtual_host=self.vhost)
        connection.connect()
        self.addCleanup(connection.close)
        channel = connection.channel()
        channel.exchange_declare(bus.EXCHANGE, "topic", durable=False, auto_delete=False)
        channel.queue_declare(TOPIC, durable=False, auto_delete=False)
        found = self.found(self.url())
        for name in (f"exchange {bus.EXCHANGE}", f"queue {TOPIC}"):
            self.assert_failed(found, "bus.flags", name, "delete")

    def test_a_memory_alarm(self) -> None:
        self.broker.ctl("set_vm_memory_high_watermark", "0.0001")
        self.addCleanup(self.broker.ctl, "set_vm_memory_high_watermark", "0.4")
        settings = link.settings(new_conf(), self.url())
        assert settings is not None
        with broker.connected(settings, settings.servers[0]) as connection:
            self.assertRaises(broker.BlockedError, broker.refused_rights, connection)
        found = self.found(self.url())
        self.assert_failed(found, "bus.rights", "no messages", "alarms")

    def test_the_agent_is_on_another_bus_than_the_computes(self) -> None:
        self.broker.ctl("add_vhost", "nova_cell1")
        self.addCleanup(self.broker.ctl, "delete_vhost", "nova_cell1")
        self.broker.ctl("set_permissions", "-p", "nova_cell1", "guest", ".*", ".*", ".*")
        of_nova = f"[DEFAULT]\ntransport_url = {self.url(vhost='nova_cell1')}\n"
        with self.agent():
            found = self.computes(of_nova)
            self.assert_failed(found, "compute_bus.agent", "No agent", "same RabbitMQ")
            found = self.computes(f"{of_nova}[cachemig]\ntransport_url = {self.url()}\n")
            self.assertEqual(Status.OK, found["compute_bus.agent"][0], found)

    def test_the_program_on_the_computes_bus(self) -> None:
        nova = self.here / "nova.conf"
        nova.write_text(
            f"[DEFAULT]\ntransport_url = {self.url(vhost='other')}\n[cachemig]\n"
            f"transport_url = {self.url()}\n[oslo_messaging_notifications]\ndriver = messagingv2\n"
            "driver = cachemig\n"
        )
        program = "import sys; from nova_cachemig.cmd.start import manage; sys.exit(manage())"
        command = [sys.executable, "-W", "ignore", "-c", program, "doctor", "-f", "json"]
        with self.agent():
            done = subprocess.run(
                [*command, "--nova-conf", str(nova)],
                cwd=ROOT,
                capture_output=True,
                text=True,
                timeout=120,
                check=False,
            )
        rows = {row["check"]: row["status"] for row in json.loads(done.stdout)}
        self.assertEqual("skipped", rows["configuration"])  # no file of an agent here
        for check in ("connection", "rights", "flags", "agent"):
            self.assertEqual("ok", rows[f"compute_bus.{check}"], done.stdout)
        self.assertEqual("ok", rows["nova_conf.driver"])
        self.assertEqual((0, ""), (done.returncode, done.stderr))


if __name__ == "__main__":
    unittest.main()
