"""A guest's programs in a network namespace, paused as a VM is.

Needs root. While the guest is paused, its packets are dropped and its processes are stopped. Its
connections outlast the pause.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import urllib.error
import urllib.request
from pathlib import Path

from tests.functional.drain.rig import until
from tests.workload.instance import run

PORT = 80
_START = 90.0  # seconds within which an application must respond


class Space:
    """``address``: of the guest. ``folder``: for its files and logs."""

    def __init__(self, number: int, network: int, folder: Path) -> None:
        """``network``: of 198.18.0.0/16, one a run."""
        tag = f"{os.getpid():x}"[-6:] + f"{number}"
        self._name, self._near, self._far = f"cms{tag}", f"cmsa{tag}", f"cmsb{tag}"
        self._gateway = f"198.18.{network}.{number * 4 + 1}"
        self.address = f"198.18.{network}.{number * 4 + 2}"
        self.folder = folder
        self._processes: list[subprocess.Popen[bytes]] = []

    def create(self) -> None:
        """Make the namespace."""
        self.folder.mkdir(parents=True, exist_ok=True)
        run("ip", "netns", "add", self._name)
        run("ip", "link", "add", self._near, "type", "veth", "peer", "name", self._far,
            "netns", self._name)  # fmt: skip
        run("ip", "addr", "add", f"{self._gateway}/30", "dev", self._near)
        run("ip", "link", "set", self._near, "up")
        for command in (
            ["ip", "addr", "add", f"{self.address}/30", "dev", self._far],
            ["ip", "link", "set", "lo", "up"],
            ["ip", "link", "set", self._far, "up"],
            ["ip", "route", "add", "default", "via", self._gateway],
            ["nft", "add", "table", "inet", "pause"],
        ):
            self.inside(*command)

    def inside(self, *command: str) -> None:
        """Run a command that must succeed."""
        run("ip", "netns", "exec", self._name, *command)

    def start(self, *command: str, cwd: Path | None = None, **environment: str) -> None:
        """Start a program that runs until :meth:`destroy`."""
        with (self.folder / "guest.log").open("ab") as log:
            process = subprocess.Popen(
                ["ip", "netns", "exec", self._name, *command],
                stdout=log,
                stderr=log,
                cwd=cwd or self.folder,
                env=os.environ | environment,
                start_new_session=True,
            )
        self._processes.append(process)

    def await_response(self, host: str, path: str = "/") -> None:
        """Wait until the application responds with a page."""

        def responds() -> bool:
            url = f"http://{self.address}:{PORT}{path}"
            request = urllib.request.Request(url, headers={"Host": host})
            with contextlib.suppress(OSError, urllib.error.URLError):
                return bool(urllib.request.urlopen(request, timeout=10).status == 200)
            return False

        until(responds, f"{host} responds; see {self.folder}/guest.log", _START)

    def pause(self) -> None:
        """Drop all packets, then stop all processes."""
        chains = "; ".join(
            f"add chain inet pause {hook} {{ type filter hook {hook} priority 0; policy drop; }}"
            for hook in ("input", "output")
        )
        self.inside("nft", chains)
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """The opposite of :meth:`pause`."""
        self._signal(signal.SIGCONT)
        self.inside("nft", "delete table inet pause; add table inet pause")

    def destroy(self) -> None:
        """End all processes and remove the namespace."""
        self._signal(signal.SIGKILL)
        for process in self._processes:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(20)
        for command in (["ip", "netns", "del", self._name], ["ip", "link", "del", self._near]):
            subprocess.run(command, check=False, capture_output=True)

    def _signal(self, number: signal.Signals) -> None:
        listed = subprocess.run(
            ["ip", "netns", "pids", self._name], check=False, capture_output=True, text=True
        )
        for pid in map(int, listed.stdout.split()):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
