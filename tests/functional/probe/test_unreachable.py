"""A real agent and a guest behind a security group that does not let the node in."""

from __future__ import annotations

import time
import unittest
from typing import Any

import yaml

from nova_cachemig.model.event import EventKind
from nova_cachemig.model.guest import GuestEvent
from tests.functional.drain.rig import SERVICE, WholeAgent, until
from tests.functional.ports import free_port
from tests.functional.probe.paused import PausedGuest

DARK = "6f70656e-7374-4163-8b21-00000000d7a2"


class UnreachableTest(PausedGuest):
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
        self.inside("nft", "add chain inet pause input { type filter hook input priority 0; }")
        self.inside("nft", "add rule inet pause input tcp dport 81 drop")
        self.agent = WholeAgent(self, self.target.address)
        dark = {
            "name": "dark",
            "instance": DARK,
            "port": 81,
            "address": self.target.address,
            "listen": f"127.0.0.1:{free_port()}",
        }
        path = self.agent.here / "services.d" / "dark.yaml"
        path.write_text(yaml.safe_dump({"services": [dark]}))
        self.hook = self.agent.start()
        until(lambda: "listening on topic" in self.agent.log(), "the agent listens")

    def shown(self, name: str) -> dict[str, Any]:
        return next(one for one in self.hook.services({}) if one["name"] == name)

    def begin(self, request: str) -> str:
        """Begin a migration of the dark guest; the reason that the hook gets."""
        self.hook.begin({}, DARK, request, "a", "b", time.time())
        return self.hook.wait_warm({}, DARK, request, 2.0).reason

    def test_its_migration_is_not_protected_until_it_was_reached(self) -> None:
        self.assertEqual("yes", self.shown(SERVICE)["reached"])
        until(lambda: self.shown("dark")["reached"] != "unknown", "the agent has tried", 60)
        shown = self.shown("dark")
        self.assertEqual(("no", "idle"), (shown["reached"], shown["phase"]))
        where = f"never reached the guest at {self.target.address}:81: it does not respond"
        self.assertIn(where, shown["error"])
        self.assertIn("--protocol tcp --dst-port 81 --remote-ip 198.19.", shown["error"])
        self.assertEqual(["dark"], self.hook.ping({})["unreachable"])
        self.assertIn("not protected: service dark", self.begin("req-1"))
        event = GuestEvent(DARK, EventKind.PAUSED, time.time(), "a", "req-1")
        self.hook.guest_event({}, event)
        self.assertEqual("idle", self.shown("dark")["phase"])
        self.assertEqual([], self.hook.handovers({}, 10))
        log = self.agent.log()
        self.assertEqual(1, log.count("agent.monitor [-] service dark: the agent has never"), log)
        self.resume()  # the security group lets the node in
        until(lambda: self.shown("dark")["reached"] == "yes", "the guest is reached")
        self.assertIsNone(self.shown("dark")["error"])
        self.assertNotIn("not protected", self.begin("req-2"))
        self.assertNotEqual("idle", self.shown("dark")["phase"])


if __name__ == "__main__":
    unittest.main()
