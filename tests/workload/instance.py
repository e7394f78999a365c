"""An instance of the workload: a guest's process in a network namespace, paused as a VM is.

Needs root. While it is paused, its process is stopped and its packets are dropped. Its connections
outlast the pause.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PORT = 80


def run(*command: str) -> None:
    """Run a command that must succeed."""
    subprocess.run(command, check=True, capture_output=True, text=True)


class Instance:
    """``address``: of the guest. ``away``: intervals in which its process was dead."""

    def __init__(self, number: int, network: int, arguments: list[str]) -> None:
        """``network``: of 198.18.0.0/16, one a run. ``arguments``: of the guest's program."""
        tag = f"{os.getpid():x}"[-6:] + f"{number}"
        self._space, self._near, self._far = f"cmw{tag}", f"cmwa{tag}", f"cmwb{tag}"
        self._arguments = arguments
        self._process: subprocess.Popen[bytes] | None = None
        base = number * 4
        self.gateway = f"198.18.{network}.{base + 1}"
        self.address = f"198.18.{network}.{base + 2}"
        self.away: list[tuple[float, float]] = []

    def create(self, *more: str) -> None:
        """Make the namespace. ``more``: further addresses of the node on its network."""
        run("ip", "netns", "add", self._space)
        run("ip", "link", "add", self._near, "type", "veth", "peer", "name", self._far,
            "netns", self._space)  # fmt: skip
        for address in (f"{self.gateway}/30", *more):
            run("ip", "addr", "add", address, "dev", self._near)
        run("ip", "link", "set", self._near, "up")
        self._inside("ip", "addr", "add", f"{self.address}/30", "dev", self._far)
        self._inside("ip", "link", "set", self._far, "up")
        self._inside("ip", "route", "add", "default", "via", self.gateway)
        self._inside("nft", "add", "table", "inet", "pause")
        self.start()

    def start(self) -> None:
        """Start the guest's process; return when it listens."""
        program = [sys.executable, "-m", "tests.workload.guest", *self._arguments]
        self._process = subprocess.Popen(
            ["ip", "netns", "exec", self._space, *program],
            stdout=subprocess.PIPE,
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), *sys.path]))},
        )
        assert self._process.stdout is not None
        if self._process.stdout.readline() != b"up\n":
            raise RuntimeError("the guest has not started")

    def kill(self) -> None:
        """End the guest's process as a crash does."""
        assert self._process is not None
        began = time.monotonic()
        self._process.kill()
        self._process.wait(20)
        assert self._process.stdout is not None
        self._process.stdout.close()
        self.away.append((began, float("inf")))

    def restart(self) -> None:
        """Start it again after :meth:`kill`."""
        self.start()
        self.away[-1] = (self.away[-1][0], time.monotonic())

    def pause(self) -> None:
        """Drop all packets, then stop the process."""
        chains = "; ".join(
            f"add chain inet pause {hook} {{ type filter hook {hook} priority 0; policy drop; }}"
            for hook in ("input", "output")
        )
        self._inside("nft", chains)
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """The opposite of :meth:`pause`."""
        self._signal(signal.SIGCONT)
        self._inside("nft", "delete table inet pause; add table inet pause")

    def destroy(self) -> None:
        """End the process and remove the namespace."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait(20)
        for command in (["ip", "netns", "del", self._space], ["ip", "link", "del", self._near]):
            subprocess.run(command, check=False, capture_output=True)

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(number)

    def _inside(self, *command: str) -> None:
        run("ip", "netns", "exec", self._space, *command)
