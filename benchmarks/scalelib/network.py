"""The guests' network: a namespace in which single guests fall silent. Needs root."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from benchmarks.scalelib.guests import address_of

ROOT = Path(__file__).resolve().parents[2]
GATEWAY = "100.96.0.1"
NOVA = "100.96.0.2"
_RULES = """
table inet silence {
  set silent { type ipv4_addr; }
  chain in { type filter hook input priority 0; ip daddr @silent drop; }
  chain out { type filter hook output priority 0; ip saddr @silent drop; }
}
"""


def _run(*command: str, feed: str | None = None) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True, input=feed)


class Network:
    """The guests' process and its namespace."""

    def __init__(self) -> None:
        tag = f"{os.getpid():x}"
        self._space, self._near, self._far = f"cmq{tag}", f"cmqa{tag}", f"cmqb{tag}"
        self.process: subprocess.Popen[str] | None = None

    def create(self) -> None:
        """Make the namespace and start the guests."""
        _run("ip", "netns", "add", self._space)
        _run("ip", "link", "add", self._near, "type", "veth", "peer", "name", self._far,
             "netns", self._space)  # fmt: skip
        _run("ip", "addr", "add", f"{GATEWAY}/16", "dev", self._near)
        _run("ip", "link", "set", self._near, "up")
        self._inside("ip", "link", "set", "lo", "up")
        self._inside("ip", "addr", "add", f"{NOVA}/16", "dev", self._far)
        self._inside("ip", "link", "set", self._far, "up")
        self._inside("ip", "route", "add", "local", "100.96.1.0/24", "dev", "lo")
        for third in range(2, 6):
            self._inside("ip", "route", "add", "local", f"100.96.{third}.0/24", "dev", "lo")
        self._inside("nft", "-f", "-", feed=_RULES)
        self.process = subprocess.Popen(
            [
                "ip",
                "netns",
                "exec",
                self._space,
                sys.executable,
                "-m",
                "benchmarks.scalelib.guests",
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
        )
        assert self.process.stdout is not None
        if self.process.stdout.readline() != "up\n":
            raise RuntimeError("the guests have not started")

    def silence(self, numbers: Iterable[int]) -> None:
        """Drop all packets of these guests."""
        self._elements("add", numbers)

    def end_silence(self, numbers: Iterable[int]) -> None:
        """The opposite of :meth:`silence`."""
        self._elements("delete", numbers)

    def _elements(self, verb: str, numbers: Iterable[int]) -> None:
        listed = ", ".join(address_of(number) for number in numbers)
        self._inside("nft", verb, "element", "inet", "silence", "silent", f"{{ {listed} }}")

    def destroy(self) -> None:
        """End the guests and remove the namespace."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(20)
        for command in (["ip", "netns", "del", self._space], ["ip", "link", "del", self._near]):
            subprocess.run(command, check=False, capture_output=True)

    def _inside(self, *command: str, feed: str | None = None) -> None:
        _run("ip", "netns", "exec", self._space, *command, feed=feed)
