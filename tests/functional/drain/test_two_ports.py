"""An instance with services on two ports, one of which is dead after the migration."""

from __future__ import annotations

import contextlib
import json
import socket
import time
import unittest
import urllib.request

import yaml

from nova_cachemig.model.event import EventKind
from nova_cachemig.model.guest import GuestEvent
from nova_cachemig.rpc.agent_client import AgentClient
from nova_cachemig.rpc.client import UnreachableError
from tests.functional.drain.rig import INSTANCE, SERVICE, WholeAgent, until
from tests.functional.drain.test_agent_away import WritesGuest
from tests.functional.ports import free_port

REQUEST = "req-ports"
BLOG = "blog"


class TwoPortsTest(unittest.TestCase):
    def setUp(self) -> None:
        self.shop, self.blog = WritesGuest(), WritesGuest()
        self.addCleanup(self.end, self.shop)
        self.agent = WholeAgent(self, *self.shop.server_address[:2])
        service = {
            "name": BLOG,
            "instance": INSTANCE,
            "port": self.blog.server_address[1],
            "listen": f"127.0.0.1:{free_port()}",
        }
        here = self.agent.here
        (here / "services.d" / "blog.yaml").write_text(yaml.safe_dump({"services": [service]}))
        address = {"instance": INSTANCE, "address": "127.0.0.1"}
        (here / "state" / "addresses.json").write_text(
            json.dumps({SERVICE: address, BLOG: address})
        )

    def end(self, guest: WritesGuest) -> None:
        guest.shutdown()
        guest.server_close()

    def listens(self, hook: AgentClient) -> bool:
        with contextlib.suppress(UnreachableError):
            return not hook.ping({})["unreachable"]
        return False

    def phases(self, hook: AgentClient) -> dict[str, str]:
        return {service["name"]: service["phase"] for service in hook.services({})}

    def notify(self, hook: AgentClient, kind: EventKind) -> None:
        hook.guest_event({}, GuestEvent(INSTANCE, kind, time.time(), "host-b", REQUEST))

    def test_the_other_port_is_released(self) -> None:
        hook = self.agent.start()
        until(lambda: self.listens(hook), "the agent listens, and has reached both ports", 90)
        hook.begin({}, INSTANCE, REQUEST, "host-a", "host-b", time.time())
        until(lambda: hook.wait_warm({}, INSTANCE, REQUEST, 2.0).ready, "the cache is warm")
        port = self.blog.server_address[1]
        self.end(self.blog)
        self.notify(hook, EventKind.PAUSED)
        self.notify(hook, EventKind.RESUMED)
        self.notify(hook, EventKind.COMPLETED)
        apart = {SERVICE: "released", BLOG: "shielded"}
        until(lambda: self.phases(hook) == apart, "the shop is released, the blog is not")
        urllib.request.urlopen(f"{self.agent.front}/buy", b"direct", timeout=10).close()
        self.assertEqual([b"direct"], self.shop.applied)
        self.assertIsNone(hook.handovers({}, 1)[0].outcome)
        with socket.create_server(("127.0.0.1", port)):
            until(lambda: hook.handovers({}, 1)[0].outcome is not None, "the handover ends")
        self.assertEqual("completed", hook.handovers({}, 1)[0].outcome)
        self.assertEqual({SERVICE: "idle", BLOG: "idle"}, self.phases(hook))
