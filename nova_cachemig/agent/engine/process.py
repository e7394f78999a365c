"""The engines' processes. Each has its own session and survives the agent's death."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
from collections.abc import Sequence
from pathlib import Path

from oslo_log import log

from nova_cachemig.agent.ports import ComponentError

LOG = log.getLogger(__name__)

MAX_LOG_SIZE = 8 << 20
"""Bytes. A larger log file of a process is deleted before the next start."""

REPEAT_SIGNAL = 1.0
"""Seconds after which a signal without effect is sent again. The master process of HAProxy 2.6
loses a signal that arrives in the first instants after a reload. A repeated one does no harm."""


def find_program(name: str, option: str) -> str:
    """Return the path of a program; raises ComponentError that names the option if missing."""
    found = shutil.which(name)
    if found is None:
        raise ComponentError(f"[engine] {option} = {name}: there is no such program")
    return found


def _start_time(pid: int) -> int | None:
    """Return a process's start in clock ticks since boot; None if it ended or is a zombie."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()
    return None if fields[0] in {"Z", "X"} else int(fields[19])


async def ended(pid: int) -> None:
    """Return once a process has ended."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    end = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_reader(descriptor, end.set)
    try:
        await end.wait()
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)


class Process:
    """One program, and the at most one process of it that belongs to this agent."""

    def __init__(self, name: str, argv: Sequence[str], directory: Path) -> None:
        """``directory`` gets the pid file and the log file."""
        self.name = name
        self._argv = list(argv)
        self._pid_file = directory / f"{name}.pid"
        self.log_file = directory / f"{name}.log"
        self.pid: int | None = None

    def spawn(self) -> None:
        """Start the process in its own session. Raises ComponentError."""
        if self.log_file.exists() and self.log_file.stat().st_size > MAX_LOG_SIZE:
            self.log_file.unlink()
        log_flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        actions = [
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, str(self.log_file), log_flags, 0o600),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ]
        # The child must not inherit signals that the agent blocks or ignores.
        defaults = [signal.SIGPIPE, signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2]
        try:
            self.pid = os.posix_spawn(
                self._argv[0],
                self._argv,
                os.environ,
                file_actions=actions,
                setsid=True,
                setsigmask=[],
                setsigdef=defaults,
            )
        except OSError as exc:
            raise ComponentError(f"{self.name} cannot be started: {exc}") from exc
        self._pid_file.write_text(json.dumps({"pid": self.pid, "begun": _start_time(self.pid)}))
        LOG.info("%s started, pid %d", self.name, self.pid)

    def adopt(self) -> bool:
        """Adopt the process that an earlier agent started; return False if it has ended."""
        try:
            saved = json.loads(self._pid_file.read_text())
            pid, started = int(saved["pid"]), saved["begun"]
        except (OSError, ValueError, KeyError, TypeError):
            return False
        if started is None or _start_time(pid) != started:
            return False
        self.pid = pid
        return True

    def command_line(self) -> list[str]:
        """Return the arguments of the running process; empty if it has ended."""
        try:
            return Path(f"/proc/{self.pid}/cmdline").read_text().split("\0")[:-1]
        except OSError:
            return []

    def is_running(self) -> bool:
        """Return whether the process runs. Reaps it if it ended."""
        if self.pid is None:
            return False
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self.pid, os.WNOHANG)
        return _start_time(self.pid) is not None

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal; does nothing if the process has ended."""
        if self.pid is not None and self.is_running():
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    async def wait(self) -> None:
        """Return once the process has ended, also if it is not a child of this agent."""
        if self.pid is None:
            return
        try:
            await ended(self.pid)
        finally:
            self.is_running()  # reaps it

    async def terminate(self, first: signal.Signals, patience: float) -> None:
        """Send ``first``, after ``patience`` seconds SIGTERM, after 2 more seconds SIGKILL.

        ``first`` is sent again every second: see :data:`REPEAT_SIGNAL`.
        """
        for number, wait in ((first, patience), (signal.SIGTERM, 2.0), (signal.SIGKILL, 5.0)):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._signal_until_ended(number)
            if not self.is_running():
                break
        if not self.is_running():
            self._pid_file.unlink(missing_ok=True)
        self.pid = None

    async def _signal_until_ended(self, number: signal.Signals) -> None:
        while self.is_running():
            self.send_signal(number)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.wait(), REPEAT_SIGNAL)

    def log_size(self) -> int:
        """Return the size of the log file in bytes."""
        return self.log_file.stat().st_size if self.log_file.exists() else 0

    def log_since(self, size: int) -> str:
        """Return the text in the log file behind its first ``size`` bytes, on one line."""
        try:
            with self.log_file.open("rb") as file:
                file.seek(size)
                return " / ".join(file.read(1 << 16).decode("utf-8", "replace").split("\n"))
        except OSError:
            return ""

    def log_tail(self) -> str:
        """Return the last four lines of output, for an error message."""
        try:
            lines = self.log_file.read_text(errors="replace").strip().splitlines()
        except OSError:
            return ""
        return " / ".join(lines[-4:])


async def run_to_end(argv: Sequence[str], timeout: float) -> tuple[int, str]:
    """Run a short program; return its exit status and output.

    Raises ComponentError if it cannot start or does not end within ``timeout`` seconds.
    """
    try:
        child = await asyncio.create_subprocess_exec(
            *argv,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
    except OSError as exc:
        raise ComponentError(f"{argv[0]} cannot be started: {exc}") from exc
    try:
        out, _ = await asyncio.wait_for(child.communicate(), timeout)
    except TimeoutError as exc:
        child.kill()
        await child.wait()
        raise ComponentError(f"{argv[0]} did not finish within {timeout:g} s") from exc
    return child.returncode or 0, out.decode("utf-8", "replace")
