"""``nova-cachemig-api`` as processes: over a real RabbitMQ, with tokens, until SIGTERM."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from keystoneauth1.fixture import V3Token

from nova_cachemig.rpc import agent as contract
from tests.functional.api.cloud import Cloud
from tests.functional.ports import free_port
from tests.functional.rpc.broker import Broker
from tests.unit.api.case import BLUE, BLUE_VM, RED, RED_VM, ROLES, record, service, write
from tests.unit.rpc.endpoints import CannedReview, RecordingEndpoint, new_conf

MAIN = "import sys; from nova_cachemig.cmd.start import api; sys.exit(api())"
_CONFIG = """
[DEFAULT]
transport_url = {bus}
[agent]
host = cache1
topic = {topic}
[api]
bind_port = {port}
workers = 2
threads = 4
agent_timeout = {timeout}
response_validation = error
[nova]
auth_type = none
endpoint_override = {cloud}/nova
[keystone_authtoken]
auth_type = password
auth_url = {cloud}
www_authenticate_uri = {cloud}
username = u
password = p
user_domain_name = Default
project_name = service
project_domain_name = Default
"""


class ApiProcess(unittest.TestCase):
    def start(self, **values: Any) -> None:
        """Start the API and wait until it serves."""
        home = Path(self.enterContext(tempfile.TemporaryDirectory()))
        port = free_port()
        config = home / "nova-cachemig.conf"
        config.write_text(_CONFIG.format(port=port, **values))
        self.url = f"http://127.0.0.1:{port}"
        self.log = (home / "log").open("w+")
        self.addCleanup(self.log.close)
        self.process = subprocess.Popen(
            [sys.executable, "-c", MAIN, "--config-file", str(config)],
            stdout=self.log,
            stderr=subprocess.STDOUT,
        )
        self.addCleanup(self.process.wait)
        self.addCleanup(self.process.kill)
        limit = time.monotonic() + 60
        while not self.is_up():
            if time.monotonic() > limit or self.process.poll() is not None:
                self.fail(self.text_of_log())
            time.sleep(0.1)

    def text_of_log(self) -> str:
        self.log.seek(0)
        return self.log.read()

    def is_up(self) -> bool:
        try:
            return self.ask("/healthcheck")[0] == 200
        except OSError:
            return False

    def ask(self, path: str, token: str = "", body: object = None) -> tuple[int, Any]:
        """The status and the document."""
        headers = {"X-Auth-Token": token} if token else {}
        data = None
        if body is not None:
            headers["Content-Type"], data = "application/json", json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, headers)
        try:
            with urllib.request.urlopen(request, timeout=60) as response:
                status, found = response.status, response.read()
        except urllib.error.HTTPError as exc:
            with exc:
                status, found = exc.code, exc.read()
        try:
            return status, json.loads(found)
        except ValueError:
            return status, None

    def ends(self) -> None:
        """SIGTERM ends it."""
        self.process.send_signal(signal.SIGTERM)
        self.assertEqual(0, self.process.wait(30), self.text_of_log())


class AloneTest(ApiProcess):
    def test_without_an_agent_and_without_keystone(self) -> None:
        self.start(bus="fake:/", topic="none", timeout=0.5, cloud="http://127.0.0.1:1")
        status, found = self.ask("/")
        self.assertEqual((200, "v1"), (status, found["versions"][0]["id"]))
        self.assertEqual(401, self.ask("/v1/services")[0])
        status, found = self.ask("/v1/services", "unknown")
        self.assertEqual((503, "cachemig.unavailable"), (status, found["errors"][0]["code"]))
        self.ends()


class OverTheBusTest(ApiProcess):
    def setUp(self) -> None:
        tokens = {}
        for persona, (project, roles) in ROLES.items():
            tokens[persona] = V3Token(user_id=f"user-{persona}", project_id=project)
            for role in roles:
                tokens[persona].add_role(name=role)
        self.cloud = Cloud(tokens, {RED_VM: RED, BLUE_VM: BLUE})
        self.addCleanup(self.cloud.close)
        self.endpoint = RecordingEndpoint()
        self.endpoint.found = [service("news", BLUE_VM), service("shop", RED_VM)]
        self.endpoint.records = [record(RED_VM, "req-red", "shop")]
        self.review = CannedReview()
        self.review.canned = {name: write(name) for name in ("shop/1", "shop/2", "shop/3")}
        broker = Broker.shared()
        topic = self.id()
        server = contract.server(
            new_conf(),
            self.endpoint,
            host="cache1",
            topic=topic,
            transport_url=broker.url,
            review=self.review,
        )
        server.start()
        self.addCleanup(server.stop)
        self.assertTrue(server.wait_listening(20))
        self.start(bus=broker.url, topic=topic, timeout=20.0, cloud=self.cloud.url)

    def test_both_processes_serve_each_project_its_own(self) -> None:
        for _ in range(20):  # by both processes
            status, found = self.ask("/v1/services", "reader")
            self.assertEqual(200, status, self.text_of_log())
            self.assertEqual(["shop"], [one["name"] for one in found["services"]])
        self.assertEqual(404, self.ask("/v1/services/shop", "foreign")[0])
        status, found = self.ask("/v1/writes?limit=2", "reader")
        self.assertEqual((200, ["shop/1", "shop/2"]), (status, [w["id"] for w in found["writes"]]))
        following = found["writes_links"][0]["href"].removeprefix(self.url)
        _, found = self.ask(following, "reader")
        self.assertEqual(["shop/3"], [w["id"] for w in found["writes"]])
        action = {"resend": {"reason": "not charged"}}
        self.assertEqual(403, self.ask("/v1/writes/shop/1/action", "reader", action)[0])
        self.assertEqual(202, self.ask("/v1/writes/shop/1/action", "member", action)[0])
        asked_by = f"user user-member of project {RED}"
        self.assertEqual(("resend", "shop/1", "not charged", asked_by), self.review.asked[-1])
        self.assertEqual(401, self.ask("/v1/services", "no-such-token")[0])
        self.ends()
