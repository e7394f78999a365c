"""The process that watches guests, and a real libvirtd that asks it for a password."""

from __future__ import annotations

import json
import logging
import os
import shlex
import subprocess
import sys
import threading
import unittest
from pathlib import Path
from unittest import mock

import libvirt

from nova_cachemig.compute import libvirt_auth
from tests.functional.compute.libvirtd import Libvirtd

ROOT = Path(__file__).parents[3]
LIMIT = 30.0  # seconds
LISTENING = "cachemig: listening to libvirt"
REFUSED = "cachemig: cannot listen to libvirt"
TRANSPORTS = ("tcp", "tls", "unix")

PROCESS = """
import sys
from nova_cachemig.compute import libvirt_watch, watch_process
libvirt_watch._BACKOFF_REFUSED = (0.2,)
sys.exit(watch_process.main())
"""


def setUpModule() -> None:
    libvirt.registerErrorHandler(lambda context, error: None, None)  # the default prints


class Process:
    """The watcher's child process, as nova-compute starts it; ``env`` adds to its environment."""

    def __init__(self, uri: str, wrapper: str = "", **env: str) -> None:
        self._child = subprocess.Popen(
            [*shlex.split(wrapper), sys.executable, "-c", PROCESS],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=os.environ | env,
            cwd=ROOT,
            text=True,
        )
        settings = {"host": "host-a", "uri": uri, "topic": "t", "transport_url": "fake:/"}
        assert self._child.stdin is not None
        self._child.stdin.write(json.dumps(settings) + "\n")
        self._child.stdin.flush()
        self.lines: list[dict[str, object]] = []
        self._errors: str | None = None
        # A process that does not do what a test waits for would make it wait for ever.
        self._timer = threading.Timer(LIMIT, self._child.kill)
        self._timer.start()

    def await_line(self, text: str) -> dict[str, object]:
        """The first line of its log from now on that has ``text``."""
        assert self._child.stdout is not None
        for raw in self._child.stdout:
            line = json.loads(raw)
            self.lines.append(line)
            if text in line["message"]:
                return line
        raise AssertionError(f"it ended: {self.lines}")

    def close(self) -> str:
        """End it as nova-compute does; return what it printed to stderr."""
        if self._errors is None:
            self._errors = self._child.communicate()[1]
            self._timer.cancel()
        return self._errors


class WithPassword(unittest.TestCase):
    libvirtd: Libvirtd

    @classmethod
    def setUpClass(cls) -> None:
        cls.libvirtd = Libvirtd(sasl=True)
        cls.addClassCleanup(cls.libvirtd.close)
        cls.libvirtd.start()

    def process(self, transport: str, auth_file: Path) -> Process:
        uri = self.libvirtd.uri_with_password(transport)
        made = Process(uri, LIBVIRT_AUTH_FILE=str(auth_file))
        self.addCleanup(made.close)
        return made

    def test_it_listens_with_the_credentials_of_libvirts_own_file(self) -> None:
        for transport in TRANSPORTS:
            with self.subTest(transport):
                process = self.process(transport, self.libvirtd.auth_file())
                process.await_line(LISTENING)
                self.assertNotIn("Traceback", process.close())

    def test_with_wrong_or_no_credentials_it_says_so_once_and_tries_again(self) -> None:
        for password in ("wrong", None):
            for transport in TRANSPORTS:
                with self.subTest(password=password, transport=transport):
                    process = self.process(transport, self.libvirtd.auth_file(password))
                    line = process.await_line(REFUSED)
                    self.assertEqual(logging.WARNING, line["level"])
                    self.assertIn("auth.conf", str(line["message"]))
                    self.libvirtd.auth_file()  # the operator's remedy; no restart
                    process.await_line(LISTENING)
                    refusals = [at for at in process.lines if REFUSED in str(at["message"])]
                    self.assertEqual(1, len(refusals), process.lines)
                    self.assertNotIn("Traceback", process.close())

    def test_it_may_not_change_anything(self) -> None:
        with mock.patch.dict(os.environ, LIBVIRT_AUTH_FILE=str(self.libvirtd.auth_file())):
            connection = libvirt_auth.open_read_only(
                libvirt, self.libvirtd.uri_with_password("tcp")
            )
        self.addCleanup(connection.close)
        with self.assertRaisesRegex(libvirt.libvirtError, "read only"):
            connection.lookupByName("test").suspend()

    def test_the_old_call_is_refused_with_the_right_password_too(self) -> None:
        """The reason for ``libvirt_auth``: ``openReadOnly`` names no kinds of credentials."""
        environment = mock.patch.dict(os.environ, LIBVIRT_AUTH_FILE=str(self.libvirtd.auth_file()))
        with environment, self.assertRaises(libvirt.libvirtError) as caught:
            libvirt.openReadOnly(self.libvirtd.uri_with_password("tcp"))
        self.assertTrue(libvirt_auth.refused(libvirt, caught.exception))


class ModularDaemons(unittest.TestCase):
    """Where virtqemud replaces libvirtd, only the name of the socket differs.

    Debian has no virtqemud. So a libvirtd serves under its name, in a /run of the process's own.
    """

    def test_nova_s_default_uri_finds_the_socket_of_virtqemud(self) -> None:
        libvirtd = Libvirtd(driver="qemu")
        self.addCleanup(libvirtd.close)
        libvirtd.start()
        links = " && ".join(
            f"ln -s {libvirtd.home}/libvirt-{name} /run/libvirt/virtqemud-{name}"
            for name in ("sock", "sock-ro")
        )
        script = f"mkdir -p /run/libvirt && mount -t tmpfs none /run/libvirt && {links}"
        process = Process(
            "qemu:///system",
            f"unshare --mount --propagation private sh -c '{script} && exec \"$@\"' sh",
        )
        self.addCleanup(process.close)
        process.await_line(LISTENING)
        self.assertNotIn("Traceback", process.close())


if __name__ == "__main__":
    unittest.main()
