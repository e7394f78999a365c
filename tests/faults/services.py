"""Nova's services as processes, each with its own log, and with the threads of their release.

nova-compute of Nova 32 cannot do without eventlet.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

from tests.functional.scheduler.cloud import LIMIT, ROOT, Cloud

PROGRAMS = ("nova-conductor", "nova-scheduler", "nova-compute")


class NovaServices:
    """nova-conductor, nova-scheduler and nova-compute, with ``conf`` after the file of the cloud.

    ``vhost`` is the virtual host in RabbitMQ and the name of the compute host.
    ``installed``: whether nova-cachemig is in their Python environment.
    """

    def __init__(self, cloud: Cloud, conf: Path, vhost: str, *, installed: bool = True) -> None:
        self._cloud = cloud
        self._conf = conf
        self._vhost = vhost
        self._queues = {"conductor", "scheduler", f"compute.{vhost}"}
        self._command: list[str] = []
        self._path = str(ROOT)
        if not installed:
            python = Path(cloud.python)
            self._command = [str(python.resolve())]  # of the system, without the environment
            self._path = str(_without_cachemig(python, conf.with_name("libraries")))
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def start(self) -> float:
        """Start them; return after how many seconds all listen. Raises AssertionError."""
        began = time.monotonic()
        for program in PROGRAMS:
            self.begin(program)
        self.await_listening()
        return time.monotonic() - began

    def begin(self, program: str) -> None:
        """Start one, without waiting."""
        log = self._log(program)
        with log.with_suffix(".out").open("wb") as output:
            self._processes[program] = subprocess.Popen(
                [
                    *self._command,
                    str(Path(self._cloud.python).with_name(program)),
                    *("--config-file", str(self._cloud.conf)),
                    *("--config-file", str(self._conf)),
                    *("--log-file", str(log)),
                ],
                env=os.environ | {"PYTHONPATH": self._path},
                cwd=self._cloud.home,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def await_listening(self) -> None:
        """Wait until each has a consumer in RabbitMQ."""
        deadline = time.monotonic() + LIMIT
        while missing := self._queues - self._consumed():
            for program, process in self._processes.items():
                if time.monotonic() > deadline or process.poll() is not None:
                    raise AssertionError(f"{missing}: {program}: {self.text(program)[-4000:]}")
            time.sleep(0.2)  # RabbitMQ sends no notification

    def _consumed(self) -> set[str]:
        queues = self._cloud.broker.ctl("list_queues", "-p", self._vhost, "name", "consumers")
        return {name for name, consumers in queues if consumers != "0"}

    def running(self) -> list[str]:
        """Return the programs that have not ended."""
        return [name for name, process in self._processes.items() if process.poll() is None]

    def await_end(self, program: str) -> str:
        """Wait until it has ended; return its log and output."""
        self._processes[program].wait(LIMIT)
        return self.text(program)

    def text(self, program: str) -> str:
        """Return its log and output."""
        log = self._log(program)
        paths = (log, log.with_suffix(".out"))
        return "".join(path.read_text() for path in paths if path.exists())

    def await_line(self, program: str, text: str, times: int = 1) -> str:
        """Wait until it has logged ``text`` this many times; return the last line with it."""
        deadline = time.monotonic() + LIMIT
        while True:
            lines = [line for line in self.text(program).splitlines() if text in line]
            if len(lines) >= times:
                return lines[-1]
            if time.monotonic() > deadline:
                raise AssertionError(f"no {text!r}: {self.text(program)[-4000:]}")
            time.sleep(0.2)  # a log file sends no notification

    def _log(self, program: str) -> Path:
        return self._conf.with_name(f"{program}.log")

    def close(self) -> None:
        """Kill them."""
        for process in self._processes.values():
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(10)


def _without_cachemig(python: Path, overlay: Path) -> Path:
    """Link all libraries of a virtual environment except nova-cachemig; return the directory."""
    overlay.mkdir()
    [libraries] = (python.parents[1] / "lib").glob("python3.*/site-packages")
    for path in libraries.iterdir():
        if "nova_cachemig" not in path.name and path.suffix != ".pth":
            (overlay / path.name).symlink_to(path)
    return overlay
