"""``nova-cachemig-api`` as a process: serves its version, asks for a token, ends on SIGTERM."""

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

from tests.functional.ports import free_port

MAIN = "import sys; from nova_cachemig.cmd.api import main; sys.exit(main())"


class ProcessTest(unittest.TestCase):
    def setUp(self) -> None:
        home = Path(self.enterContext(tempfile.TemporaryDirectory()))
        port = free_port()
        config = home / "nova-cachemig.conf"
        config.write_text(
            "[DEFAULT]\ntransport_url = fake:/\n"
            f"[api]\nbind_port = {port}\nworkers = 1\nthreads = 2\n"
            "[nova]\nauth_type = none\n"
            "[keystone_authtoken]\nauth_type = password\nauth_url = http://127.0.0.1:1\n"
            "www_authenticate_uri = http://127.0.0.1:1\nusername = u\npassword = p\n"
        )
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

    def ask(self, path: str, **headers: str) -> tuple[int, bytes]:
        request = urllib.request.Request(self.url + path, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=30) as response:
                return response.status, response.read()
        except urllib.error.HTTPError as exc:
            with exc:
                return exc.code, exc.read()

    def wait(self) -> None:
        limit = time.monotonic() + 60
        while True:
            try:
                self.assertEqual(200, self.ask("/healthcheck")[0])
                return
            except OSError:
                if time.monotonic() > limit or self.process.poll() is not None:
                    self.log.seek(0)
                    self.fail(self.log.read())
                time.sleep(0.1)

    def test_it_serves_and_ends(self) -> None:
        self.wait()
        status, body = self.ask("/")
        self.assertEqual((200, "v1"), (status, json.loads(body)["versions"][0]["id"]))
        self.assertEqual(401, self.ask("/v1/services")[0])
        # A token, but no Keystone that could be asked about it.
        status, body = self.ask("/v1/services", **{"X-Auth-Token": "unknown"})
        self.assertEqual(503, status)
        self.assertEqual("cachemig.unavailable", json.loads(body)["errors"][0]["code"])
        self.process.send_signal(signal.SIGTERM)
        self.assertEqual(0, self.process.wait(30))
