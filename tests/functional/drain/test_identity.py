"""The whole agent: nothing for an instance reaches another one at its former address."""

from __future__ import annotations

import http.client
import http.server
import json
import threading
import time
import unittest
import urllib.error
import urllib.request
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from nova_cachemig.model.change import InstanceChange
from nova_cachemig.model.event import EventKind
from nova_cachemig.model.guest import GuestEvent
from nova_cachemig.rpc.agent_client import AgentClient
from nova_cachemig.rpc.client import UnreachableError
from tests.functional.drain.rig import INSTANCE, WholeAgent, until
from tests.functional.drain.test_agent_away import WritesGuest

REQUEST = "req-identity"
OLD, NEW = "127.0.0.1", "127.0.0.2"
UNKNOWN = "The address of the guest is not known"


class _NovaHandler(http.server.BaseHTTPRequestHandler):
    server: FakeNova

    def do_GET(self) -> None:
        nova = self.server
        if nova.away:
            self._respond(HTTPStatus.SERVICE_UNAVAILABLE, {})
        elif "/os-migrations" in self.path:
            self._respond(HTTPStatus.OK, {"migrations": [_MIGRATION]})
        elif nova.deleted:
            self._respond(HTTPStatus.NOT_FOUND, {"itemNotFound": {"message": "no", "code": 404}})
        else:
            found = [
                {"addr": address, "version": 4, "OS-EXT-IPS:type": "fixed"}
                for address in nova.addresses
            ]
            server = {"id": INSTANCE, "status": "ACTIVE", "addresses": {"n": found}}
            self._respond(HTTPStatus.OK, {"server": server})

    def _respond(self, status: HTTPStatus, found: Mapping[str, Any]) -> None:
        body = json.dumps(found).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_args: object) -> None:
        """Log nothing."""


_MIGRATION = {
    "id": 1,
    "uuid": "m",
    "instance_uuid": INSTANCE,
    "status": "running",
    "migration_type": "live-migration",
}


class FakeNova(http.server.ThreadingHTTPServer):
    """Shows one instance that migrates."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__((OLD, 0), _NovaHandler)
        self.addresses = [OLD]
        self.deleted = self.away = False
        threading.Thread(target=self.serve_forever, daemon=True).start()


class IdentityTest(unittest.TestCase):
    def setUp(self) -> None:
        self.guest, self.nova = WritesGuest(OLD), FakeNova()
        self.addCleanup(self.nova.server_close)
        self.addCleanup(self.nova.shutdown)
        self.port = self.guest.server_address[1]
        nova = f"http://{OLD}:{self.nova.server_address[1]}"
        self.agent = WholeAgent(self, OLD, self.port, nova=nova)
        self.agent.agent_options = ("ask_nova_after = 2", "reload_interval = 1")

    def other(self, address: str) -> WritesGuest:
        """Another server at an address."""
        guest = WritesGuest(address, self.port)
        self.addCleanup(guest.server_close)
        self.addCleanup(guest.shutdown)
        return guest

    def shielded(self) -> AgentClient:
        """The guest is paused, and one write waits."""
        hook = self.agent.start()
        until(lambda: self.shown(hook) is not None, "the agent listens", 60)
        hook.begin({}, INSTANCE, REQUEST, "host-a", "host-b", time.time())
        until(lambda: hook.wait_warm({}, INSTANCE, REQUEST, 2.0).ready, "the cache is warm")
        self.guest.leave()
        hook.guest_event({}, GuestEvent(INSTANCE, EventKind.PAUSED, time.time(), "host-a"))
        until(lambda: self.shown(hook, "phase") == "shielded", "the guest is shielded")
        connection = http.client.HTTPConnection(self.agent.front.partition("//")[2], timeout=10)
        self.addCleanup(connection.close)
        connection.request("POST", "/w", b"w")
        until(lambda: self.agent.waiting() == 1, "a write waits")
        return hook

    @staticmethod
    def shown(hook: AgentClient, field: str = "name") -> Any:
        try:
            return hook.services({})[0][field]
        except (UnreachableError, IndexError):
            return None

    def lost(self, hook: AgentClient, change: InstanceChange) -> None:
        hook.instance_changed({}, INSTANCE, change)
        until(lambda: self.shown(hook, "address") is None, "the address is unknown")

    def refused(self) -> urllib.error.HTTPError:
        with self.assertRaises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(f"{self.agent.front}/page", timeout=10)
        self.assertEqual(503, caught.exception.code)
        self.assertIsNotNone(caught.exception.headers["Retry-After"])
        return caught.exception

    def test_nothing_reaches_the_next_owner_of_a_deleted_instances_address(self) -> None:
        hook = self.shielded()
        self.nova.deleted = True
        self.lost(hook, InstanceChange.DELETED)
        foreign = self.other(OLD)
        until(lambda: self.shown(hook, "phase") == "idle", "the handover has ended")
        self.assertEqual(0, self.agent.waiting())  # the operator decides
        self.assertIn(UNKNOWN, self.refused().read().decode())
        self.assertEqual([], foreign.seen)

    def test_the_journal_follows_the_instance_to_its_new_address(self) -> None:
        hook = self.shielded()
        self.nova.addresses = []
        self.lost(hook, InstanceChange.DETACHED)
        foreign, guest = self.other(OLD), self.other(NEW)
        self.nova.addresses = [NEW]
        hook.instance_changed({}, INSTANCE, InstanceChange.CHANGED)
        until(lambda: guest.applied == [b"w"], "the write is applied")
        until(lambda: self.agent.waiting() == 0, "the response is recorded")
        with urllib.request.urlopen(f"{self.agent.front}/page", timeout=10) as response:
            self.assertEqual(b"page", response.read())
        self.assertEqual([], foreign.seen)

    def test_a_doubt_survives_a_restart_while_nova_is_away(self) -> None:
        hook = self.shielded()
        self.nova.away = True
        self.lost(hook, InstanceChange.DETACHED)
        self.agent.kill()
        guest = self.other(OLD)
        self.agent.run()
        until(lambda: self.agent.log().count("the agent serves") == 2, "the agent is back", 60)
        until(lambda: self.shown(hook, "phase") is not None, "the agent listens", 60)
        self.assertIsNone(self.shown(hook, "address"))
        until(self.is_unknown, "the edge refuses")
        self.assertEqual(([], 1), (guest.seen, self.agent.waiting()))
        self.nova.away = False
        until(lambda: guest.applied == [b"w"], "the write is applied")
        until(lambda: self.agent.waiting() == 0, "the response is recorded")

    def is_unknown(self) -> bool:
        return UNKNOWN in self.refused().read().decode()

    def test_an_instance_that_is_deleted_while_the_agent_is_away_gets_nothing(self) -> None:
        hook = self.shielded()
        self.agent.kill()
        self.nova.deleted = True
        foreign = self.other(OLD)
        self.agent.run()
        until(lambda: self.agent.log().count("the agent serves") == 2, "the agent is back", 60)
        until(lambda: self.shown(hook, "phase") == "idle", "the handover has ended", 60)
        self.assertIsNone(self.shown(hook, "address"))
        self.assertEqual([], [one for one in foreign.seen if one.startswith("POST")])

    def test_a_driver_that_sends_no_notices_delays_it_until_nova_is_asked(self) -> None:
        self.agent.agent_options += ("address_interval = 10",)
        hook = self.shielded()
        self.nova.deleted = True
        until(lambda: self.shown(hook, "phase") == "idle", "the handover has ended", 60)
        until(lambda: self.shown(hook, "address") is None, "the address is unknown", 60)
        self.assertEqual(0, self.agent.waiting())

    def test_without_a_notice_a_nova_that_is_away_is_no_doubt(self) -> None:
        hook = self.shielded()
        self.nova.away = True
        self.agent.kill()
        guest = self.other(OLD)
        self.agent.run()
        until(lambda: guest.applied == [b"w"], "the write is applied", 60)
        self.assertEqual(OLD, self.shown(hook, "address"))
