"""Every handover ends, although its guest does not return, and delays no other service."""

from __future__ import annotations

import http.client
import http.server
import json
import threading
import time
import unittest
import urllib.request
from http import HTTPStatus

import yaml

from nova_cachemig.model.event import EventKind
from nova_cachemig.model.guest import GuestEvent
from nova_cachemig.rpc.agent_client import AgentClient
from nova_cachemig.rpc.client import UnreachableError
from tests.functional.drain.rig import INSTANCE, SERVICE, WholeAgent, until
from tests.functional.drain.test_agent_away import WritesGuest
from tests.functional.ports import free_port

REQUEST = "req-ends"
OTHER = "6f70656e-7374-4163-8b21-00000000d7a2"
_ADDRESSES = {INSTANCE: "127.0.0.1", OTHER: "127.0.0.2"}
WITHIN = 30.0  # seconds


class _Handler(http.server.BaseHTTPRequestHandler):
    server: FakeNova

    def do_GET(self) -> None:
        if "/os-migrations" in self.path:
            migration = {
                "id": 1,
                "uuid": "m",
                "instance_uuid": INSTANCE,
                "status": "running",
                "migration_type": "live-migration",
            }
            self._respond(HTTPStatus.OK, {"migrations": [migration]})
            return
        uuid = self.path.rpartition("/")[2]
        if uuid not in _ADDRESSES or (uuid == INSTANCE and self.server.deleted.is_set()):
            self._respond(HTTPStatus.NOT_FOUND, {"itemNotFound": {"message": "no", "code": 404}})
            return
        address = {"addr": _ADDRESSES[uuid], "version": 4, "OS-EXT-IPS:type": "fixed"}
        server = {"id": uuid, "status": "ACTIVE", "addresses": {"n": [address]}}
        self._respond(HTTPStatus.OK, {"server": server})

    def _respond(self, status: HTTPStatus, found: object) -> None:
        body = json.dumps(found).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_args: object) -> None:
        """Log nothing."""


class FakeNova(http.server.ThreadingHTTPServer):
    """Shows two instances, of which one migrates, until it is deleted."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.deleted = threading.Event()
        threading.Thread(target=self.serve_forever, daemon=True).start()


class HandoverEndTest(unittest.TestCase):
    def setUp(self) -> None:
        self.guest, self.other, self.nova = (
            WritesGuest(),
            WritesGuest(_ADDRESSES[OTHER]),
            FakeNova(),
        )
        for server in (self.other, self.nova):
            self.addCleanup(server.server_close)
            self.addCleanup(server.shutdown)

    def shielded(self, *options: str) -> AgentClient:
        """The guest is paused, one write waits, and the guest does not return."""
        port = self.guest.server_address[1]
        nova = f"http://127.0.0.1:{self.nova.server_address[1]}"
        self.agent = WholeAgent(self, "127.0.0.1", port, nova=nova)
        self.agent.agent_options = options
        hook = self.agent.start()
        until(lambda: self.phase(hook) is not None, "the agent listens", 60)
        hook.begin({}, INSTANCE, REQUEST, "host-a", "host-b", time.time())
        until(lambda: hook.wait_warm({}, INSTANCE, REQUEST, 2.0).ready, "the cache is warm")
        self.guest.shutdown()
        self.guest.server_close()
        hook.guest_event({}, GuestEvent(INSTANCE, EventKind.PAUSED, time.time(), "host-a"))
        until(lambda: self.phase(hook) == "shielded", "the guest is shielded")
        self.post()
        until(lambda: self.agent.waiting() == 1, "a write waits")
        return hook

    def post(self) -> None:
        """Send a write whose client does not wait for the response."""
        connection = http.client.HTTPConnection(self.agent.front.partition("//")[2], timeout=10)
        self.addCleanup(connection.close)
        connection.request("POST", "/w", b"w")

    @staticmethod
    def phase(hook: AgentClient) -> str | None:
        try:
            return str(hook.services({})[0]["phase"])
        except (UnreachableError, IndexError):
            return None

    def add_service(self, *, remove: bool = False) -> str:
        """Define another service; return its front address."""
        port = free_port()
        service = {
            "name": "blog",
            "instance": OTHER,
            "port": self.other.server_address[1],
            "listen": f"127.0.0.1:{port}",
        }
        directory = self.agent.here / "services.d"
        (directory / "blog.yaml").write_text(yaml.safe_dump({"services": [service]}))
        if remove:
            (directory / "shop.yaml").unlink()
        return f"http://127.0.0.1:{port}"

    @staticmethod
    def served(front: str) -> bool:
        try:
            with urllib.request.urlopen(f"{front}/x", timeout=2) as response:
                return bool(response.status == HTTPStatus.OK)
        except OSError:
            return False

    def test_the_deadline_releases_a_guest_that_does_not_return(self) -> None:
        hook = self.shielded("handover_deadline = 10", "ask_nova_after = 2")
        front = self.add_service()
        self.assertEqual([], hook.reload({}))
        self.assertFalse(self.served(front))
        until(lambda: self.phase(hook) == "idle", "the service is released", WITHIN)
        until(lambda: self.served(front), "the other service is served", WITHIN)
        [record] = hook.handovers({}, 1)
        self.assertEqual("abandoned", record.outcome)
        self.assertEqual(0, self.agent.waiting())  # the operator decides

    def test_a_deleted_instance_ends_its_handover(self) -> None:
        hook = self.shielded("ask_nova_after = 2")
        self.nova.deleted.set()
        until(lambda: self.phase(hook) == "idle", "the service is released", WITHIN)
        [record] = hook.handovers({}, 1)
        sentences = [decision.sentence for decision in record.decisions]
        self.assertIn(
            "the instance is deleted: releasing; its writes are quarantined (asked)", sentences
        )
        self.assertEqual(0, self.agent.waiting())

    def test_the_removal_of_a_service_ends_its_handover_and_delays_no_other(self) -> None:
        hook = self.shielded("ask_nova_after = 8")
        front = self.add_service(remove=True)
        self.assertEqual([], hook.reload({}))
        until(lambda: self.served(front), "the other service is served", 5)
        until(lambda: hook.handovers({}, 1)[0].ended, "the handover has ended", WITHIN)
        self.assertEqual(0, self.agent.waiting())
        self.assertEqual(SERVICE, hook.handovers({}, 1)[0].services[0])
