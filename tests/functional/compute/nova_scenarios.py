"""Live migrations in a real Nova, in one process, with our driver switched on by its conf alone.

Nova's API, conductor, scheduler and two computes are those of its wheel; its tests' fixtures stand
for libvirt, Neutron, Glance, Cinder and Placement; the bus is oslo.messaging's fake. Not named
test_*: :mod:`.test_nova` runs this in processes of its own, one with eventlet and one without.
"""

from __future__ import annotations

import nova.tests.functional  # the first of all: it patches for eventlet, or forbids it

# isort: split

import contextlib
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

from nova_cachemig.model.event import EventKind
from nova_cachemig.model.guest import GuestEvent
from nova_cachemig.model.handover import HandoverId, HandoverRecord
from nova_cachemig.rpc import agent as contract

CONF = nova.conf.CONF
NOTIFICATIONS = "oslo_messaging_notifications"


class RecordingAgent:
    """Notes what it is told; is warm when the test says so."""

    def __init__(self) -> None:
        self.story: list[tuple[str, Any]] = []
        self.changed = threading.Condition()
        self.warm = threading.Event()
        self.fault: Exception | None = None

    def _note(self, what: str, detail: Any = None) -> None:
        with self.changed:
            self.story.append((what, detail))
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
    ) -> None:
        self._note("begin", (handover, source, destination))

    def wait_warm(self, ctxt: Any, handover: HandoverId, wait: float) -> dict[str, Any]:
        self._note("wait_warm", handover)
        ready = self.warm.wait(wait)
        return {"ready": ready, "phase": "armed" if ready else "warming", "reason": "told so"}

    def guest_event(self, ctxt: Any, event: GuestEvent) -> None:
        self._note("guest_event", event)

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

    def of(self, what: str) -> list[Any]:
        """The details of all that was told of one sort."""
        with self.changed:
            return [detail for told, detail in self.story if told == what]

    def kinds(self) -> list[EventKind]:
        """Of the guest events."""
        return [event.kind for event in self.of("guest_event")]

    def await_that(self, what: Callable[[], bool], limit: float = 30.0) -> bool:
        """Wait until something is true of the story."""
        with self.changed:
            return self.changed.wait_for(what, limit)


class NoNotificationFixture(fixtures.Fixture):
    """In place of Nova's, which would put a fake in place of the notifier that we want."""

    def __init__(self, test: Any) -> None:
        self.test = test


class MigrationScenarios(libvirt_base.LibvirtMigrationMixin, libvirt_base.ServersTestBase):
    """A server on 'src', asked to move to 'dest'."""

    microversion = "latest"
    ADMIN_API = True
    CAST_AS_CALL = False

    def setUp(self) -> None:
        CONF.register_opts(oslo_notifier._notifier_opts, group=NOTIFICATIONS)
        self._override("driver", ["cachemig"], NOTIFICATIONS)
        self._override("api_paste_config", str(_paste_file()), "wsgi")
        for name, value in self.ours().items():
            self._override(name, value, "cachemig")
        with mock.patch.object(nova_fixtures, "NotificationFixture", NoNotificationFixture):
            super().setUp()
        self.migrated_at: float | None = None
        self.fail_job = False
        self.start_compute(hostname="src")
        self.start_compute(hostname="dest")
        self.src, self.dest = self.computes["src"], self.computes["dest"]
        self.server = self._create_server(host="src", networks="none")

    def ours(self) -> dict[str, Any]:
        """Values of [cachemig]."""
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
        """An agent on Nova's own (fake) bus."""
        agent = RecordingAgent()
        server = contract.server(CONF, agent, host="cache1", topic=CONF.cachemig.topic)
        server.start()
        self.assertTrue(server.wait_listening(10))
        try:
            yield agent
        finally:
            agent.warm.set()
            server.stop()

    def _ask(self) -> None:
        body = {"os-migrateLive": {"host": "dest", "block_migration": "auto"}}
        self.api.post_server_action(self.server["id"], body)

    def _host(self) -> str:
        return str(self.api.get_server(self.server["id"])["OS-EXT-SRV-ATTR:host"])

    def _waited(self) -> tuple[float, str]:
        """What the hook wrote to Nova's log: how long it waited, in seconds, and why."""
        found = re.findall(r"instance \S+, after (\d+\.\d+) s: (.*)", self.stdlog.logger.output)
        self.assertEqual(1, len(found), found)
        return float(found[0][0]), found[0][1]

    def _ended(self, status: str) -> None:
        self._wait_for_migration_status(self.server, [status])
        self._wait_for_state_change(self.server, "ACTIVE", wait_for_fault_key=False)


class WithAgent(MigrationScenarios):
    def test_a_migration_waits_until_the_cache_is_warm_and_is_told_to_its_end(self) -> None:
        with self.agent() as agent:
            self._ask()
            self.assertTrue(agent.await_that(lambda: len(_of(agent, "wait_warm")) >= 2))
            self.assertIsNone(self.migrated_at, "memory copy began before the cache was warm")
            warm_at = time.monotonic()
            agent.warm.set()
            self._ended("completed")
            self.assertTrue(agent.await_that(lambda: bool(_of(agent, "guest_event"))))
            self.assertEqual("dest", self._host())
            self.assertGreater(self.migrated_at, warm_at)
            # notification_format is both here: everything is published twice, and told once.
            [(handover, source, destination)] = agent.of("begin")
            self.assertEqual(self.server["id"], handover.instance)
            self.assertRegex(handover.request, r"^req-")
            self.assertEqual(("src", "dest"), (source, destination))
            self.assertEqual({handover}, set(agent.of("wait_warm")))
            [event] = agent.of("guest_event")
            self.assertEqual(EventKind.COMPLETED, event.kind)
            self.assertEqual(handover, HandoverId(event.instance, event.request))
            self.assertEqual("dest", event.host)
            self.assertEqual(["begin", "wait_warm"], [told for told, _ in agent.story[:2]])

    def test_a_rollback_is_told(self) -> None:
        self.fail_job = True
        with self.agent() as agent:
            agent.warm.set()
            self._ask()
            self._ended("failed")
            wanted = [EventKind.FAILED, EventKind.ROLLED_BACK]
            self.assertTrue(agent.await_that(lambda: _kinds(agent)[-1:] == wanted[-1:]))
            self.assertEqual("src", self._host())
            self.assertEqual(wanted[0], agent.kinds()[0])
            self.assertNotIn(EventKind.COMPLETED, agent.kinds())
            [(handover, *_)] = agent.of("begin")
            told = {HandoverId(event.instance, event.request) for event in agent.of("guest_event")}
            self.assertEqual({handover}, told)

    def test_an_agent_that_raises_delays_nothing(self) -> None:
        with self.agent() as agent:
            agent.fault = RuntimeError("broken on purpose")
            self._ask()
            self._ended("completed")
            self.assertEqual("dest", self._host())
            waited, why = self._waited()
            self.assertLess(waited, 1.5)
            self.assertIn("broken on purpose", why)
            self.assertEqual(1, len(agent.of("begin")))
            self.assertEqual(1, len(agent.of("wait_warm")))


class NeverWarm(MigrationScenarios):
    def ours(self) -> dict[str, Any]:
        return {"warm_timeout": 3, "rpc_timeout": 1.0}

    def test_the_wait_ends_with_its_limit(self) -> None:
        with self.agent():
            self._ask()
            self._ended("completed")
            waited, why = self._waited()
            self.assertGreater(waited, 2.0)
            self.assertLessEqual(waited, 3.05)
            self.assertIn("not warm", why)


class WithoutAgent(MigrationScenarios):
    def test_nobody_listens(self) -> None:
        self._ask()
        self._ended("completed")
        self.assertEqual("dest", self._host())
        waited, why = self._waited()
        self.assertLess(waited, 1.0 + 0.5, "rpc_timeout is 1 s")
        self.assertIn("not waiting for", why)


class WithoutBus(MigrationScenarios):
    def ours(self) -> dict[str, Any]:
        return super().ours() | {"transport_url": "rabbit://guest:guest@127.0.0.1:1/"}

    def test_the_bus_is_down(self) -> None:
        self._ask()
        self._ended("completed")
        self.assertEqual("dest", self._host())
        waited, why = self._waited()
        self.assertLess(waited, 1.0 + 0.5, "rpc_timeout is 1 s")
        self.assertIn("not waiting for", why)


def _of(agent: RecordingAgent, what: str) -> list[Any]:
    # Under the condition's lock already, which is not one that can be taken twice.
    return [detail for told, detail in agent.story if told == what]


def _kinds(agent: RecordingAgent) -> list[EventKind]:
    return [event.kind for event in _of(agent, "guest_event")]


def _paste_file() -> Path:
    """Nova's wheel puts it under the prefix, where no option of Nova's looks for it."""
    return Path(sys.prefix) / "etc" / "nova" / "api-paste.ini"
