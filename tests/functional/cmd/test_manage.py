"""``nova-cachemig-manage`` against a real agent: RabbitMQ, HAProxy, Varnish, a journal on disk."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
import unittest
import urllib.request
from typing import Any

from nova_cachemig.model.event import EventKind
from nova_cachemig.model.guest import GuestEvent
from tests.functional.drain.rig import INSTANCE, ROOT, SERVICE, WholeAgent, until
from tests.functional.probe.paused import PausedGuest

PROGRAM = "import sys; from nova_cachemig.cmd.start import manage; sys.exit(manage())"


class ManageTest(PausedGuest):
    server = """
import http.server
class Guest(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.do_GET()
    def log_message(self, *_):
        pass
server = http.server.ThreadingHTTPServer(("0.0.0.0", 80), Guest)
server.handle_error = lambda *_: None  # connections that HAProxy resets
print("up", flush=True)
server.serve_forever()
"""

    def setUp(self) -> None:
        super().setUp()
        self.agent = WholeAgent(self, self.target.address)
        self.hook = self.agent.start()

    def manage(self, *words: str) -> subprocess.CompletedProcess[str]:
        config = ("--config-file", str(self.agent.config))
        command = [sys.executable, "-W", "ignore", "-c", PROGRAM, *config, *words]
        return subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
        )

    def shown(self, *words: str) -> Any:
        done = self.manage(*words, "-f", "json")
        self.assertEqual((0, ""), (done.returncode, done.stderr))
        return json.loads(done.stdout)

    def fails(self, *words: str) -> str:
        done = self.manage(*words)
        self.assertEqual(1, done.returncode, done.stdout)
        self.assertNotIn("Traceback", done.stderr)
        return done.stderr

    def phase(self) -> str:
        return str(self.shown("service", "list")[0]["phase"])

    def post(self) -> None:
        request = urllib.request.Request(f"{self.agent.front}/orders", b"a=1", method="POST")
        urllib.request.urlopen(request, timeout=60).read()

    def test_an_operators_day(self) -> None:
        self.assertTrue(self.shown("agent", "show")["listening"])
        self.assertEqual("idle", self.phase())
        self._services()
        self._handover()
        self._without_agent()

    def _services(self) -> None:
        words = ("--instance", INSTANCE, "--port", "80", "--no-check")
        path = self.agent.here / "services.d" / "second.yaml"
        # Nova is away and the guest's address is not known: the agent says so.
        err = self.fails("service", "add", "second", *words, "--listen", "127.0.0.1:18081")
        self.assertIn("nova-cachemig-manage: ", err)
        self.assertTrue(path.exists())
        error = self.shown("service", "show", "second")["error"]
        self.assertIn(error, err)
        done = self.manage("service", "remove", "second")
        self.assertEqual((0, f"{path}\n"), (done.returncode, done.stdout), done.stderr)
        self.assertEqual([SERVICE], [one["name"] for one in self.shown("service", "list")])
        self._mistakes()

    def _mistakes(self) -> None:
        broken = self.agent.here / "services.d" / "broken.yaml"
        broken.write_text("services: [")
        until(lambda: self.shown("agent", "show")["service_errors"], "the agent reads the file")
        [good, bad] = self.shown("service", "list")
        self.assertEqual((SERVICE, ""), (good["name"], bad["name"]))
        self.assertIn(str(broken), bad["error"])
        broken.unlink()
        until(lambda: not self.shown("agent", "show")["service_errors"], "the file is gone")
        err = self.fails("journal", "list", "--service", "shpo")
        self.assertIn(f"no service shpo; its services: {SERVICE}", err)
        err = self.fails("--agent", "cache9", "service", "remove", SERVICE)
        self.assertIn("cannot change those of cache9", err)

    def _handover(self) -> None:
        self.hook.begin({}, INSTANCE, "req-1", "host-a", "host-b", time.time())
        until(lambda: self.hook.wait_warm({}, INSTANCE, "req-1", 2.0).ready, "it is warm")
        event = GuestEvent(INSTANCE, EventKind.PAUSED, time.time(), "host-a", None)
        self.pause()
        self.hook.guest_event({}, event)
        until(lambda: self.phase() == "shielded", "the guest is shielded", 60)
        client = threading.Thread(target=self.post)
        client.start()
        self.addCleanup(client.join)
        until(lambda: self.shown("journal", "list", "--waiting"), "a write waits", 60)
        [waiting] = self.shown("journal", "list", "--waiting")
        self.assertEqual(("accepted", "POST"), (waiting["state"], waiting["method"]))
        show = ("journal", "show", waiting["write"])
        self.assertNotIn("body", self.shown(*show))  # [agent] serve_journal = metadata
        self.assertEqual("YT0x", self.shown("--offline", *show)["body"])
        self.assertIn("expected: in_doubt", self.fails("journal", "resend", waiting["write"]))
        self.assertEqual([], self.shown("journal", "list"))
        self.resume()
        event = GuestEvent(INSTANCE, EventKind.COMPLETED, time.time(), "host-b", "req-1")
        self.hook.guest_event({}, event)
        until(lambda: self.shown("handover", "list")[0]["Outcome"] == "completed", "it ends", 60)
        record = self.shown("handover", "show", INSTANCE)
        self.assertEqual("req-1", record["id"]["request"])
        done = self.manage("handover", "show", INSTANCE)
        for part in ("Story", "In doubt", "warmed "):
            self.assertIn(part, done.stdout)

    def _without_agent(self) -> None:
        self.agent.stop()
        err = self.fails("--timeout", "1", "handover", "list")
        self.assertEqual(1, len(err.splitlines()), err)
        for part in (f"does not respond on topic {self.agent.topic}", "--offline"):
            self.assertIn(part, err)
        [kept] = self.shown("--offline", "handover", "list")
        self.assertEqual("completed", kept["Outcome"])
        self.assertEqual([], self.shown("--offline", "journal", "list"))
        [service] = self.shown("--offline", "service", "list")
        self.assertEqual(SERVICE, service["name"])
        done = self.manage("--offline", "agent", "show")
        self.assertEqual(2, done.returncode)
        self.assertIn("leave --offline out", done.stderr)


if __name__ == "__main__":
    unittest.main()
