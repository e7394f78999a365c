"""Live migrations in a real Nova, in one process; only nova.conf switches the driver on.

Nova's API, conductor, scheduler and two computes come from its wheel. The fixtures of its tests
replace libvirt, Neutron, Glance, Cinder and Placement, and the bus is oslo.messaging's fake. The
module is not named test_*: :mod:`.test_nova` runs it in two processes, with and without eventlet.
"""

from __future__ import annotations

import tests.functional.compute.patched  # noqa: F401  first

# isort: split

import contextlib
import inspect
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import fixtures
import nova.conf
from nova.tests import fixtures as nova_fixtures
from nova.tests.functional.libvirt import base as libvirt_base
from oslo_messaging.notify import notifier as oslo_notifier

from nova_cachemig.model.change import InstanceChange
from nova_cachemig.model.event import EventKind
from nova_cachemig.model.guest import GuestEvent
from nova_cachemig.model.handover import HandoverId, HandoverRecord
from nova_cachemig.rpc import agent as contract

CONF = nova.conf.CONF
NOTIFICATIONS = "oslo_messaging_notifications"


class RecordingAgent:
    """Records the calls; is warm when the test sets ``warm``."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, Any]] = []
        self.changed = threading.Condition()
        self.warm = threading.Event()
        self.fault: Exception | None = None

    def _record(self, method: str, detail: Any = None) -> None:
        with self.changed:
            self.calls.append((method, detail))
            self.changed.notify_all()
        if self.fault is not None:
            raise self.fault

    def begin(
        self,
        ctxt: Any,
        handover: HandoverId,
        source: str | None,
        destination: str | None,
        at: float,
        behind: float,
    ) -> None:
        self._record("begin", (handover, source, destination))

    def wait_warm(self, ctxt: Any, handover: HandoverId, wait: float) -> dict[str, Any]:
        self._record("wait_warm", handover)
        ready = self.warm.wait(wait)
        return {"ready": ready, "phase": "armed" if ready else "warming", "reason": "test"}

    def guest_event(self, ctxt: Any, event: GuestEvent) -> None:
        self._record("guest_event", event)

    def instance_changed(self, ctxt: Any, instance: str, change: InstanceChange) -> None:
        self._record("instance_changed", (instance, change))

    def handovers(self, ctxt: Any, limit: int) -> list[HandoverRecord]:
        return []

    def handover(self, ctxt: Any, handover: HandoverId) -> HandoverRecord | None:
        return None

    def services(self, ctxt: Any) -> list[dict[str, Any]]:
        return []

    def reload(self, ctxt: Any) -> list[str]:
        return []

    def ping(self, ctxt: Any) -> dict[str, Any]:
        return {}

    def of(self, method: str) -> list[Any]:
        """Return the details of all calls of one method."""
        with self.changed:
            return [detail for called, detail in self.calls if called == method]

    def kinds(self) -> list[EventKind]:
        """Return the kinds of the guest events."""
        return [event.kind for event in self.of("guest_event")]

    def await_that(self, predicate: Callable[[], bool], limit: float = 30.0) -> bool:
        """Wait until the predicate is true of the calls."""
        with self.changed:
            return self.changed.wait_for(predicate, limit)


class NoNotificationFixture(fixtures.Fixture):
    """Replaces Nova's fixture, which would replace the notifier under test by a fake."""

    def __init__(self, test: Any) -> None:
        self.test = test


class MigrationScenarios(libvirt_base.LibvirtMigrationMixin, libvirt_base.ServersTestBase):
    """A server on 'src' that the test moves to 'dest'."""

    microversion = "latest"
    ADMIN_API = True
    CAST_AS_CALL = False

    def setUp(self) -> None:
        CONF.register_opts(oslo_notifier._notifier_opts, group=NOTIFICATIONS)
        self._override("driver", ["cachemig"], NOTIFICATIONS)
        self._override("api_paste_config", str(_paste_file()), "wsgi")
        for name, value in self.cachemig_options().items():
            self._override(name, value, "cachemig")
        with mock.patch.object(nova_fixtures, "NotificationFixture", NoNotificationFixture):
            super().setUp()
        self.migrated_at: float | None = None
        self.fail_job = False
        self.start_compute(hostname="src")
        self.start_compute(hostname="dest")
        self.src, self.dest = self.computes["src"], self.computes["dest"]
        self.server = self._create_server(host="src", networks="none")

    def cachemig_options(self) -> dict[str, Any]:
        """Return the values of [cachemig]."""
        return {"warm_timeout": 30, "rpc_timeout": 1.0}

    def _override(self, name: str, value: Any, group: str) -> None:
        if group == "cachemig":
            from nova_cachemig.conf import compute

            compute.register(CONF)
        CONF.set_override(name, value, group=group)
        self.addCleanup(CONF.clear_override, name, group=group)

    def _migrate_stub(self, domain: Any, destination: str, params: Any, flags: int) -> None:
        self.migrated_at = time.monotonic()
        if not self.fail_job:
            super()._migrate_stub(domain, destination, params, flags)
            return
        connection = self.src.driver._host.get_connection()
        connection.lookupByUUIDString(self.server["id"]).fail_job()

    @contextlib.contextmanager
    def agent(self) -> Iterator[RecordingAgent]:
        """Run an agent on Nova's own (fake) bus."""
        agent = RecordingAgent()
        server = contract.server(CONF, agent, host="cache1", topic=CONF.cachemig.topic)
        server.start()
        self.assertTrue(server.wait_listening(10))
        try:
            yield agent
        finally:
            agent.warm.set()
            server.stop()

    def _start_migration(self) -> None:
        body = {"os-migrateLive": {"host": "dest", "block_migration": "auto"}}
        self.api.post_server_action(self.server["id"], body)

    def _host(self) -> str:
        return str(self.api.get_server(self.server["id"])["OS-EXT-SRV-ATTR:host"])

    def _waited(self) -> tuple[float, str]:
        """Return how long the hook waited, in seconds, and why, from its line in Nova's log."""
        found = re.findall(r"instance \S+, after (\d+\.\d+) s: (.*)", self.stdlog.logger.output)
        self.assertEqual(1, len(found), found)
        return float(found[0][0]), found[0][1]

    def _ended(self, status: str) -> None:
        with contextlib.suppress(AssertionError):  # Nova's helper waits for 5 s: too short if busy
            self._wait_for_migration_status(self.server, [status])
        self._wait_for_migration_status(self.server, [status])
        wait = self._wait_for_state_change
        newer = "wait_for_fault_key" in inspect.signature(wait).parameters  # not in Nova 32
        wait(self.server, "ACTIVE", **({"wait_for_fault_key": False} if newer else {}))


class WithAgent(MigrationScenarios):
    def test_a_migration_waits_until_the_cache_is_warm_and_is_reported_to_its_end(self) -> None:
        with self.agent() as agent:
            self._start_migration()
            self.assertTrue(agent.await_that(lambda: len(_of(agent, "wait_warm")) >= 2))
            self.assertIsNone(self.migrated_at, "memory copy began before the cache was warm")
            warm_at = time.monotonic()
            agent.warm.set()
            self._ended("completed")
            self.assertTrue(agent.await_that(lambda: bool(_of(agent, "guest_event"))))
            self.assertEqual("dest", self._host())
            self.assertGreater(self.migrated_at, warm_at)
            # notification_format is "both" here: Nova publishes twice, the driver reports once.
            [(handover, source, destination)] = agent.of("begin")
            self.assertEqual(self.server["id"], handover.instance)
            self.assertRegex(handover.request, r"^req-")
            self.assertEqual(("src", "dest"), (source, destination))
            self.assertEqual({handover}, set(agent.of("wait_warm")))
            [event] = agent.of("guest_event")
            self.assertEqual(EventKind.COMPLETED, event.kind)
            self.assertEqual(handover, HandoverId(event.instance, event.request))
            self.assertEqual("dest", event.host)
            self.assertEqual(["begin", "wait_warm"], [method for method, _ in agent.calls[:2]])

    def test_a_rollback_is_reported(self) -> None:
        self.fail_job = True
        with self.agent() as agent:
            agent.warm.set()
            self._start_migration()
            self._ended("failed")
            wanted = [EventKind.FAILED, EventKind.ROLLED_BACK]
            self.assertTrue(agent.await_that(lambda: _kinds(agent)[-1:] == wanted[-1:]))
            self.assertEqual("src", self._host())
            self.assertEqual(wanted[0], agent.kinds()[0])
            self.assertNotIn(EventKind.COMPLETED, agent.kinds())
            [(handover, *_)] = agent.of("begin")
            events = agent.of("guest_event")
            named = {HandoverId(event.instance, event.request) for event in events}
            self.assertEqual({handover}, named)

    def test_an_agent_that_raises_delays_nothing(self) -> None:
        with self.agent() as agent:
            agent.fault = RuntimeError("broken on purpose")
            self._start_migration()
            self._ended("completed")
            self.assertEqual("dest", self._host())
            waited, why = self._waited()
            self.assertLess(waited, 1.5)
            self.assertIn("broken on purpose", why)
            self.assertEqual(1, len(agent.of("begin")))
            self.assertEqual(1, len(agent.of("wait_warm")))


class Changed(MigrationScenarios):
    def test_changes_of_an_address_are_reported_once(self) -> None:
        instance, changes = self.server["id"], InstanceChange
        with self.agent() as agent:
            port = self.neutron.port_1["id"]
            attached = {"interfaceAttachment": {"port_id": port}}
            self.api.attach_interface(instance, attached)
            self.api.detach_interface(instance, port)
            self.assertTrue(agent.await_that(lambda: len(_changes(agent)) >= 2))
            self.api.delete_server(instance)
            self.assertTrue(agent.await_that(lambda: len(_changes(agent)) >= 4))
            found = agent.of("instance_changed")
        # notification_format is "both" here: Nova publishes twice, the driver reports once.
        expected = [changes.CHANGED, changes.DETACHED, changes.DELETED, changes.DELETED]
        self.assertEqual([(instance, change) for change in expected], found)


class NeverWarm(MigrationScenarios):
    def cachemig_options(self) -> dict[str, Any]:
        return {"warm_timeout": 3, "rpc_timeout": 1.0}

    def test_the_wait_ends_with_its_limit(self) -> None:
        with self.agent():
            self._start_migration()
            self._ended("completed")
            waited, why = self._waited()
            self.assertGreater(waited, 2.0)
            self.assertLessEqual(waited, 3.05)
            self.assertIn("not warm", why)


class WithoutAgent(MigrationScenarios):
    def test_no_agent_listens(self) -> None:
        self._start_migration()
        self._ended("completed")
        self.assertEqual("dest", self._host())
        waited, why = self._waited()
        self.assertLess(waited, 1.0 + 0.5, "rpc_timeout is 1 s")
        self.assertIn("not waiting for", why)


class WithoutBus(MigrationScenarios):
    def cachemig_options(self) -> dict[str, Any]:
        return super().cachemig_options() | {"transport_url": "rabbit://guest:guest@127.0.0.1:1/"}

    def test_the_bus_is_down(self) -> None:
        self._start_migration()
        self._ended("completed")
        self.assertEqual("dest", self._host())
        waited, why = self._waited()
        self.assertLess(waited, 1.0 + 0.5, "rpc_timeout is 1 s")
        self.assertIn("not waiting for", why)


def _of(agent: RecordingAgent, method: str) -> list[Any]:
    # Predicates run under the condition's lock, which a thread cannot acquire twice.
    return [detail for called, detail in agent.calls if called == method]


def _changes(agent: RecordingAgent) -> list[Any]:
    return _of(agent, "instance_changed")


def _kinds(agent: RecordingAgent) -> list[EventKind]:
    return [event.kind for event in _of(agent, "guest_event")]


def _paste_file() -> Path:
    """Return where Nova's wheel installs it: Nova's own default is another directory."""
    return Path(sys.prefix) / "etc" / "nova" / "api-paste.ini"
