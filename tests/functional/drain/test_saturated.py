"""A handover ends although writes arrive as fast as the guest takes them in their order."""

from __future__ import annotations

import collections
import http.server
import threading
import time
import unittest
import urllib.error
import urllib.request

from nova_cachemig.model.event import EventKind
from nova_cachemig.model.guest import GuestEvent
from nova_cachemig.model.handover import OutcomeKind
from nova_cachemig.rpc.client import UnreachableError
from tests.functional.drain.rig import INSTANCE, WholeAgent, until

REQUEST = "req-saturated"
CLIENTS = 20
LATENCY = 0.1  # seconds for one write; the guest processes many in parallel
WITHIN = 30.0  # seconds; 2 s for the backlog, 2 s for the drain


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: SlowGuest

    def do_GET(self) -> None:
        self._respond()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        time.sleep(LATENCY)
        self.server.applied.append((self.path, int(body)))
        self._respond()

    def _respond(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_args: object) -> None:
        """Log nothing."""


class SlowGuest(http.server.ThreadingHTTPServer):
    """Keeps page and number of each applied write, in order."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.applied: list[tuple[str, int]] = []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, *_args: object) -> None:
        """A probe closes its connection."""


class SaturatedTest(unittest.TestCase):
    def setUp(self) -> None:
        self.guest = SlowGuest()
        self.addCleanup(self.guest.server_close)
        self.addCleanup(self.guest.shutdown)
        self.agent = WholeAgent(self, "127.0.0.1", self.guest.server_port)
        self.hook = self.agent.start()
        until(self._listens, "the agent listens to messages", 60)
        self.stop = threading.Event()
        self.responses: collections.Counter[object] = collections.Counter()
        self.written: collections.Counter[str] = collections.Counter()  # page → responses
        self.longest = 0.0

    def _listens(self) -> bool:
        try:
            self.hook.handovers({}, 1)
        except UnreachableError:
            return False
        return True

    def _write(self, page: str) -> None:
        """Write the numbers from 0 on to a page, one after the other."""
        number = 0
        while not self.stop.is_set():
            begun = time.monotonic()
            request = urllib.request.Request(
                self.agent.front + page, str(number).encode(), method="POST"
            )
            try:
                with urllib.request.urlopen(request, timeout=60) as response:
                    self.responses[response.status] += 1
            except (urllib.error.URLError, OSError) as exc:
                self.responses[repr(exc)] += 1
            number += 1
            self.written[page] = number
            self.longest = max(self.longest, time.monotonic() - begun)

    def test_the_handover_ends_under_steady_writes(self) -> None:
        writers = [threading.Thread(target=self._write, args=(f"/w{n}",)) for n in range(CLIENTS)]
        for writer in writers:
            writer.start()
        try:
            self._migrate()
            time.sleep(1.0)  # writes pass to the guest directly again
        finally:
            self.stop.set()
            for writer in writers:
                writer.join()
        self.assertEqual([200], list(self.responses), self.responses)
        self.assertLess(self.longest, WITHIN)
        applied: dict[str, list[int]] = collections.defaultdict(list)
        for page, number in self.guest.applied:
            applied[page].append(number)
        expected = {page: list(range(count)) for page, count in self.written.items()}
        self.assertEqual(expected, applied)  # none lost, doubled or overtaken

    def _migrate(self) -> None:
        self.hook.begin({}, INSTANCE, REQUEST, "host-a", "host-b", time.time())
        until(lambda: self.hook.wait_warm({}, INSTANCE, REQUEST, 2.0).ready, "the cache is warm")
        time.sleep(0.5)
        self._event(EventKind.PAUSED)
        time.sleep(0.5)
        self._event(EventKind.RESUMED)
        self._event(EventKind.COMPLETED)
        until(lambda: self.hook.handovers({}, 1)[0].outcome, "the handover ends", WITHIN)
        self.assertIs(OutcomeKind.COMPLETED, self.hook.handovers({}, 1)[0].outcome)

    def _event(self, kind: EventKind) -> None:
        self.hook.guest_event({}, GuestEvent(INSTANCE, kind, time.time(), "host-b", REQUEST))
