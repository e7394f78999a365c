"""The doctor beside a real agent: RabbitMQ, HAProxy, Varnish, a journal on disk, a guest."""

from __future__ import annotations

import json
import subprocess
import sys
import unittest

from tests.functional.drain.rig import ROOT, WholeAgent, until
from tests.functional.probe.paused import PausedGuest

PROGRAM = "import sys; from nova_cachemig.cmd.start import manage; sys.exit(manage())"
ABOUT_NOVA = {"nova", "clock"}  # Nova is away in these tests


class AgentTest(PausedGuest):
    server = """
import http.server
class Guest(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")
    def log_message(self, *_):
        pass
server = http.server.ThreadingHTTPServer(("0.0.0.0", 80), Guest)
server.handle_error = lambda *_: None  # connections that are reset
print("up", flush=True)
server.serve_forever()
"""

    def setUp(self) -> None:
        super().setUp()
        self.agent = WholeAgent(self, self.target.address)

    def doctor(self) -> dict[str, list[dict[str, str]]]:
        """Check → its findings. The program must end with 1: Nova is away."""
        command = [sys.executable, "-W", "ignore", "-c", PROGRAM]
        done = subprocess.run(
            [*command, "--config-file", str(self.agent.config), "doctor", "-f", "json"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        self.assertEqual((1, ""), (done.returncode, done.stderr), done.stdout)
        found: dict[str, list[dict[str, str]]] = {}
        for row in json.loads(done.stdout):
            found.setdefault(row["check"], []).append(row)
        return found

    def failed(self) -> dict[str, str]:
        """The failed checks that do not concern Nova, with the finding."""
        return {
            check: row["what"]
            for check, rows in self.doctor().items()
            for row in rows
            if row["status"] == "failed" and check.partition(".")[0] not in ABOUT_NOVA
        }

    def test_an_agent_and_what_it_needs(self) -> None:
        self.agent.start()
        until(lambda: "listening on topic" in self.agent.log(), "the agent listens")
        found = self.doctor()
        for check in (
            "state.agent",
            "state.state_dir",
            "state.runtime_dir",
            "journal.schema",
            "journal.keys",
            "services.files",
            "engine.haproxy",
            "engine.varnish",
            "engine.running",
            "bus.connection",
            "bus.rights",
            "bus.flags",
            "bus.agent",
            "guests.reachable",
        ):
            with self.subTest(check):
                self.assertIn("ok", [row["status"] for row in found[check]])
        self.assertEqual({}, self.failed(), found)
        self._with_a_silent_guest()
        self._with_a_broken_file()
        self._without_the_agent()

    def _with_a_silent_guest(self) -> None:
        self.pause()
        self.assertIn("does not respond", self.failed()["guests.reachable"])
        self.resume()

    def _with_a_broken_file(self) -> None:
        path = self.agent.here / "services.d" / "broken.yaml"
        path.write_text("services: {")
        self.assertIn("broken.yaml", self.failed()["services.files"])
        path.unlink()

    def _without_the_agent(self) -> None:
        self.agent.stop()
        self.assertEqual(["bus.agent"], list(self.failed()))


if __name__ == "__main__":
    unittest.main()
