"""The fault matrix: real Nova services start and serve as without nova-cachemig in each cell.

In each cell that disables nova-cachemig, the doctor names the cause. ``tools/nova-releases 32 34 --
tests.faults.test_matrix`` runs it for two releases and prints a table of each.
"""

from __future__ import annotations

import unittest
from collections.abc import Callable
from typing import ClassVar

import amqp
import libvirt

from nova_cachemig.model.event import EventKind
from tests.faults.cell import (
    ABSENT,
    LISTENING,
    NOVAS_WEIGHERS,
    TIMEOUT,
    TOPIC,
    WATCHING,
    WEIGHERS,
    Cell,
)
from tests.functional.compute.libvirtd import Libvirtd
from tests.functional.compute.test_migration import FAST, Migration
from tests.functional.scheduler.cloud import LIMIT


class Matrix(Cell):
    results: ClassVar[list[tuple[str, ...]]] = []

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.addClassCleanup(cls.show)

    @classmethod
    def show(cls) -> None:
        """Print the table."""
        rows = [
            ("cell", "Nova serves after", "migrations wait", "the doctor fails in"),
            *cls.results,
        ]
        widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
        for row in rows:
            print("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)))

    def tearDown(self) -> None:
        waits = ", ".join(f"{wait:.1f}" for wait in self.waits)
        self.results.append(
            (
                self.vhost.removeprefix("test_"),
                self.started,
                waits and f"{waits} s",
                self.doctor_says,
            )
        )

    def test_0_without_cachemig(self) -> None:
        self.configure(ours=False)
        self.assert_nova_serves(self.start_nova())
        self.assert_migrations_wait(0.0)

    def test_agent_first(self) -> None:
        self.configure()
        self.assertTrue(self.start_agent().wait_listening(LIMIT))
        services = self.start_nova()
        services.await_line("nova-compute", LISTENING)
        self.assert_nova_serves(services)
        self.assert_migrations_wait(0.5)
        self.assert_doctor(None)

    def test_computes_first(self) -> None:
        self.configure()
        services = self.start_nova()
        line = services.await_line("nova-compute", ABSENT)
        self.assertIn("start nova-cachemig-agent", line)
        self.assert_nova_serves(services)
        self.assert_migrations_wait(TIMEOUT)
        self.assert_doctor("compute_bus.agent", "No agent listens")
        self.start_agent()
        services.await_line("nova-compute", LISTENING)

    def test_forecaster_first(self) -> None:
        self.configure(more="[oslo_messaging_rabbit]\nrabbit_quorum_queue = true")
        forecaster = self.start_forecaster()
        self.await_queue("nova-cachemig-forecaster")
        services = self.start_nova()
        self.assert_nova_serves(services)
        self.assertIsNone(forecaster.poll())
        self.assertIn(["nova", "True"], self.exchanges())

    def test_nova_first(self) -> None:
        self.configure(more="[oslo_messaging_rabbit]\nrabbit_quorum_queue = true")
        services = self.start_nova()
        self.start_forecaster()
        self.await_queue("nova-cachemig-forecaster")
        self.assert_nova_serves(services)
        self.assertIn(["nova", "True"], self.exchanges())

    def test_rabbitmq_restarted(self) -> None:
        self.broken_while_all_run(self.restart)

    def test_rabbitmq_reset(self) -> None:
        self.broken_while_all_run(self.reset)

    def test_rabbitmq_memory_alarm(self) -> None:
        self.configure()
        self.start_agent()
        services = self.start_nova()
        services.await_line("nova-compute", LISTENING)
        self.cloud.broker.ctl("set_vm_memory_high_watermark", "absolute", "1000")
        self.addCleanup(self.cloud.broker.ctl, "set_vm_memory_high_watermark", "0.4")
        self.assert_migrations_wait(TIMEOUT)
        self.assert_doctor("compute_bus.rights", "memory or disk alarm")
        self.cloud.broker.ctl("set_vm_memory_high_watermark", "0.4")
        self.assert_nova_serves(services)

    def test_wrong_vhost(self) -> None:
        self.disabled(
            f"transport_url = {self.url(vhost='no-such-vhost')}",
            "compute_bus.connection",
            "does not exist",
        )

    def test_wrong_password(self) -> None:
        self.disabled(
            f"transport_url = {self.url('guest:wrong')}", "compute_bus.connection", "password"
        )

    def test_wrong_rights(self) -> None:
        self.cloud.broker.ctl("add_user", "cachemig", "secret")
        self.addCleanup(self.cloud.broker.ctl, "delete_user", "cachemig")
        self.cloud.broker.ctl("set_permissions", "-p", self.vhost, "cachemig", "^$", "^$", "^$")
        self.disabled(
            f"transport_url = {self.url('cachemig:secret')}", "compute_bus.rights", "configure"
        )

    def test_wrong_durability(self) -> None:
        with amqp.Connection(
            f"127.0.0.1:{self.cloud.broker.port}", virtual_host=self.vhost
        ) as connection:
            channel = connection.channel()
            channel.exchange_declare("nova-cachemig.rpc", "topic", durable=False, auto_delete=False)
        self.disabled("", "compute_bus.flags", "other flags")

    def test_libvirtd_restarted(self) -> None:
        """With Nova's libvirt driver, the watcher in nova-compute, and guests of QEMU."""
        libvirt.registerErrorHandler(lambda context, error: None, None)  # the default prints
        libvirtd, other = Libvirtd("source", "qemu"), Libvirtd("destination", "qemu")
        for daemon in (libvirtd, other):
            self.addCleanup(daemon.close)
            daemon.start()
        self.libvirt = libvirtd.uri(read_only=False)
        self.configure()
        self.start_agent()
        services = self.start_nova()
        services.await_line("nova-compute", LISTENING)
        services.await_line("nova-compute", WATCHING)
        libvirtd.stop()
        line = services.await_line("nova-compute", "cannot listen to libvirt")
        self.assertIn("libvirt's daemon runs", line)
        self.assert_nova_serves(services)
        self.assert_migrations_wait(0.5)
        self.assert_doctor("libvirt.connection", "cannot be opened")
        libvirtd.start()
        services.await_line("nova-compute", WATCHING, times=2)
        self.assert_nova_serves(services)
        self.assert_migrations_wait(0.5)
        self.assertEqual({}, self.doctor())
        self.assert_switchover_reported(libvirtd, other)

    def test_wrong_values(self) -> None:
        """Nova reads every registered option when it starts, and ends if one is not valid."""
        self.configure(
            "warm_timeout = abc\nwatch_guests = perhaps\nsamples_topic = a$b",
            more="[cachemig_scheduler]\npredicted_load_weight_multiplier = high",
        )
        self.start_agent()
        services = self.start_nova()
        services.await_line("nova-compute", LISTENING)
        for program, option in (
            ("nova-compute", "warm_timeout = abc"),
            ("nova-compute", "watch_guests = perhaps"),
            ("nova-compute", "samples_topic"),
            ("nova-scheduler", "predicted_load_weight_multiplier = high"),
        ):
            services.await_line(program, f"{option} is not valid: write ")
        self.assert_nova_serves(services)
        self.assert_migrations_wait(0.5)
        self.assert_doctor("configuration", "is not valid: write ")

    def test_package_removed(self) -> None:
        """Only the line of the notification driver is left in nova.conf."""
        self.configure()
        text = self.conf.read_text().replace(WEIGHERS, NOVAS_WEIGHERS)
        self.conf.write_text(text)
        services = self.services(installed=False)
        self.started = f"{services.start():.0f} s"
        self.assert_nova_serves(services)
        self.assertNotIn("cachemig: enabled", services.text("nova-compute"))
        self.doctor_says = "is removed too"

    def test_package_removed_but_not_the_weigher(self) -> None:
        """Nova itself refuses to start nova-scheduler: the line must go first."""
        self.configure()
        services = self.services(installed=False)
        services.begin("nova-scheduler")
        self.assertIn("No module named 'nova_cachemig'", services.await_end("nova-scheduler"))
        self.doctor_says = "is removed too"

    # ----------------------------------------------------------------------------------------

    def assert_switchover_reported(self, source: Libvirtd, destination: Libvirtd) -> None:
        """The agent receives the switchover of a migration without an announcement."""
        guest = source.start_guest(self.vhost).UUIDString()
        Migration(guest, source, destination, FAST).join()

        def kinds() -> list[EventKind]:
            calls = list(self.endpoint.received)
            events = [call[1] for call in calls if call[0] == "guest_event"]
            return [event.kind for event in events if event.instance == guest]

        self.assertTrue(self.endpoint.await_that(lambda: EventKind.PAUSED in kinds(), LIMIT))

    def disabled(self, cachemig: str, check: str, what: str) -> None:
        """nova-cachemig cannot work, Nova does, and both the log and the doctor name the cause."""
        self.configure(cachemig)
        services = self.start_nova()
        services.await_line("nova-compute", ABSENT)
        self.assert_nova_serves(services)
        self.assert_migrations_wait(TIMEOUT)
        self.assert_doctor(check, what)

    def broken_while_all_run(self, fault: Callable[[], None]) -> None:
        """Afterwards, Nova and nova-cachemig work again, without a restart of their processes."""
        self.configure()
        agent = self.start_agent()
        services = self.start_nova()
        services.await_line("nova-compute", LISTENING)
        fault()
        services.await_listening()
        self.assert_nova_serves(services)
        self.await_queue(TOPIC)
        self.assertTrue(agent.wait_listening(LIMIT))
        self.assert_migrations_wait(0.5)
        self.assert_doctor(None)

    def restart(self) -> None:
        self.cloud.broker.stop()
        self.cloud.broker.start()

    def reset(self) -> None:
        for command in ("stop_app", "reset", "start_app"):
            self.cloud.broker.ctl(command)
        self.cloud.broker.ctl("add_vhost", self.vhost)
        self.cloud.broker.ctl("set_permissions", "-p", self.vhost, "guest", ".*", ".*", ".*")

    def exchanges(self) -> list[list[str]]:
        return [
            [name, durable.capitalize()]
            for name, durable in self.cloud.broker.ctl(
                "list_exchanges", "-p", self.vhost, "name", "durable"
            )
        ]


if __name__ == "__main__":
    unittest.main()
