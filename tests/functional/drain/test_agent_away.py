"""The whole agent hangs, crashes or restarts while a handover is live."""

from __future__ import annotations

import collections
import concurrent.futures
import contextlib
import http.server
import signal
import socket
import threading
import time
import unittest
import urllib.error
import urllib.request

from nova_cachemig.model.event import EventKind
from nova_cachemig.model.guest import GuestEvent
from nova_cachemig.model.phase import Phase
from nova_cachemig.rpc.agent_client import AgentClient
from nova_cachemig.rpc.client import UnreachableError
from tests.functional.drain.rig import INSTANCE, WholeAgent, until

REQUEST = "req-away"
DETECTED = 8.0
"""Seconds within which an agent that hangs counts as dead: two checks of 2 s on a busy machine."""


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: WritesGuest

    def do_GET(self) -> None:
        self.server.seen.append(f"GET {self.path}")
        self._respond(b"page")

    def do_POST(self) -> None:
        self.server.seen.append(f"POST {self.path}")
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if body.startswith(b"slow"):
            self.server.slow.set()
            self.server.go_on.wait(30)
        self.server.applied.append(body)
        self._respond(b"ok")

    def _respond(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_args: object) -> None:
        """Log nothing."""


class WritesGuest(http.server.ThreadingHTTPServer):
    """Keeps the bodies of the applied writes; one that begins with ``slow`` waits."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: str = "127.0.0.1", port: int = 0) -> None:
        super().__init__((address, port), _Handler)
        self.applied: list[bytes] = []
        self.seen: list[str] = []  # methods and URLs of all requests
        self.slow, self.go_on = threading.Event(), threading.Event()
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def leave(self) -> None:
        """Refuse connections: the guest is not reachable."""
        self.shutdown()
        self.socket.close()

    def come_back(self) -> None:
        """Accept connections again, on the same port."""
        self.socket = socket.create_server(self.server_address, backlog=128)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, *_args: object) -> None:
        """Log nothing: the prober resets its connections."""


class AgentAwayTest(unittest.TestCase):
    def setUp(self) -> None:
        self.guest = WritesGuest()
        self.addCleanup(self.guest.server_close)
        self.addCleanup(self.guest.shutdown)
        self.addCleanup(self.guest.go_on.set)
        nova = socket.create_server(("127.0.0.1", 0))  # it accepts, and never responds
        self.addCleanup(nova.close)
        away = f"http://127.0.0.1:{nova.getsockname()[1]}"
        self.agent = WholeAgent(self, *self.guest.server_address[:2], nova=away)
        self.pool = concurrent.futures.ThreadPoolExecutor(30)
        self.addCleanup(self.pool.shutdown)

    def post(self, body: bytes) -> tuple[int, float]:
        """Return the status and the seconds."""
        began = time.monotonic()
        request = urllib.request.Request(f"{self.agent.front}/w", body, method="POST")
        try:
            with urllib.request.urlopen(request, timeout=60) as response:
                response.read()
                status = response.status
        except urllib.error.HTTPError as exc:
            status = exc.code
        return status, time.monotonic() - began

    @staticmethod
    def listens(hook: AgentClient) -> bool:
        with contextlib.suppress(UnreachableError):
            hook.handovers({}, 1)
            return True
        return False

    def armed(self) -> AgentClient:
        """Start the agent and a handover."""
        hook = self.agent.start()
        until(lambda: self.listens(hook), "the agent listens", 60)
        hook.begin({}, INSTANCE, REQUEST, "host-a", "host-b", time.time())
        until(lambda: hook.wait_warm({}, INSTANCE, REQUEST, 2.0).ready, "the cache is warm")
        return hook

    def shielded(self) -> AgentClient:
        """Start a handover whose guest is not reachable."""
        hook = self.armed()
        self.assertEqual(200, self.post(b"before")[0])
        self.guest.leave()
        pause = GuestEvent(INSTANCE, EventKind.PAUSED, time.time(), "host-a", REQUEST)
        hook.guest_event({}, pause)
        until(lambda: hook.handovers({}, 1)[0].phase is Phase.SHIELDED, "the edge is shielded")
        time.sleep(0.5)  # the edge follows the record
        return hook

    def replaying(self) -> concurrent.futures.Future[tuple[int, float]]:
        """Start a handover whose journal waits for the guest's response to a slow write."""
        self.shielded()
        slow = self.pool.submit(self.post, b"slow")
        until(lambda: self.agent.waiting() == 1, "the write is on disk")
        self.guest.come_back()
        self.assertTrue(self.guest.slow.wait(10))
        return slow

    def get(self) -> tuple[bytes, float]:
        """Return the page that the writes change, and the seconds."""
        began = time.monotonic()
        with urllib.request.urlopen(f"{self.agent.front}/w", timeout=60) as response:
            return response.read(), time.monotonic() - began

    def test_a_restart_refuses_no_write_though_nova_hangs(self) -> None:
        slow = self.replaying()
        done = threading.Event()

        def write(number: int) -> list[int]:
            found = []
            while not done.is_set():
                found.append(self.post(b"%d" % number)[0])
            return found

        writers = [self.pool.submit(write, number) for number in range(10)]
        threading.Timer(1.0, self.guest.go_on.set).start()
        self.agent.stop()
        self.agent.run()
        until(lambda: len(self.guest.applied) > 200, "users write on", 60)
        done.set()
        statuses = collections.Counter(status for one in writers for status in one.result())
        self.assertLessEqual(statuses.keys(), {200, 202}, statuses)
        self.assertIn(slow.result()[0], {200, 202})

    def test_after_a_crash_no_read_waits_for_a_write_in_doubt(self) -> None:
        slow = self.replaying()
        self.agent.kill()
        self.assertEqual(502, slow.result()[0])
        self.guest.go_on.set()
        self.agent.run()
        until(lambda: "is quarantined" in self.agent.log(), "the agent sorts its writes")
        page, seconds = self.get()
        self.assertEqual(b"page", page)
        self.assertLess(seconds, 5)

    def test_a_hung_agent_is_as_a_dead_one(self) -> None:
        hook = self.shielded()
        self.agent.signal(signal.SIGSTOP)
        self.addCleanup(self.agent.signal, signal.SIGCONT)
        began = time.monotonic()
        queued = [self.pool.submit(self.post, b"in the hung agent") for _ in range(20)]
        for one in queued:
            status, seconds = one.result()
            self.assertEqual(502, status)
            self.assertLess(seconds, DETECTED)
        self.guest.come_back()
        status, seconds = self.post(b"past it")
        self.assertEqual((200, True), (status, seconds < 0.5))
        self.assertLess(time.monotonic() - began, DETECTED)
        self.agent.signal(signal.SIGCONT)
        until(lambda: hook.handovers({}, 1), "the agent works again")
        time.sleep(0.5)
        self.assertEqual([b"before", b"past it"], self.guest.applied)
        self.assertEqual(0, self.agent.waiting())

    def test_an_agent_that_is_busy_for_longer_than_a_check_keeps_its_writes(self) -> None:
        slow = self.replaying()
        self.agent.signal(signal.SIGSTOP)
        self.addCleanup(self.agent.signal, signal.SIGCONT)
        queued = [self.pool.submit(self.post, b"in the busy agent") for _ in range(20)]
        time.sleep(3)
        self.agent.signal(signal.SIGCONT)
        self.guest.go_on.set()
        self.assertEqual({200}, {one.result()[0] for one in (slow, *queued)})
        self.assertEqual(22, len(self.guest.applied))
