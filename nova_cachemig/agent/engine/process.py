"""The engines' processes. They live in sessions of their own and outlive an agent that dies."""

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

LONGEST_LOG = 8 << 20
"""Bytes of a child's output that are kept when it is started again."""


def program(name: str, option: str) -> str:
    """The path of a program; raises ComponentError that names the option if it is missing."""
    found = shutil.which(name)
    if found is None:
        raise ComponentError(f"[engine] {option} = {name}: there is no such program")
    return found


def _begun(pid: int) -> int | None:
    """When a process began, in clock ticks since boot; None if there is none or it is a zombie."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()
    return None if fields[0] in {"Z", "X"} else int(fields[19])


class Process:
    """One program, of which at most one process is ours."""

    def __init__(self, name: str, argv: Sequence[str], directory: Path) -> None:
        self.name = name
        self._argv = list(argv)
        self._pid_file = directory / f"{name}.pid"
        self.log_file = directory / f"{name}.log"
        self.pid: int | None = None

    def spawn(self) -> None:
        """Start it in a session of its own. Raises ComponentError."""
        if self.log_file.exists() and self.log_file.stat().st_size > LONGEST_LOG:
            self.log_file.unlink()
        log_flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        actions = [
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, str(self.log_file), log_flags, 0o600),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ]
        # An agent's blocked or ignored signals are none of the child's.
        back = [signal.SIGPIPE, signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2]
        try:
            self.pid = os.posix_spawn(
                self._argv[0],
                self._argv,
                os.environ,
                file_actions=actions,
                setsid=True,
                setsigmask=[],
                setsigdef=back,
            )
        except OSError as exc:
            raise ComponentError(f"{self.name} cannot be started: {exc}") from exc
        self._pid_file.write_text(json.dumps({"pid": self.pid, "begun": _begun(self.pid)}))
        LOG.info("%s started, pid %d", self.name, self.pid)

    def adopt(self) -> bool:
        """Take over the process that an earlier agent started, if it still runs."""
        try:
            saved = json.loads(self._pid_file.read_text())
            pid, begun = int(saved["pid"]), saved["begun"]
        except (OSError, ValueError, KeyError, TypeError):
            return False
        if begun is None or _begun(pid) != begun:
            return False
        self.pid = pid
        return True

    def command(self) -> list[str]:
        """The command line with which it runs; empty if it is gone."""
        try:
            return Path(f"/proc/{self.pid}/cmdline").read_text().split("\0")[:-1]
        except OSError:
            return []

    def alive(self) -> bool:
        """Whether it runs."""
        if self.pid is None:
            return False
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self.pid, os.WNOHANG)
        return _begun(self.pid) is not None

    def send(self, number: signal.Signals) -> None:
        """Send a signal; no error if it is gone."""
        if self.pid is not None and self.alive():
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    async def exited(self) -> None:
        """Return once it has ended; it need not be a child of this process."""
        if self.pid is None:
            return
        try:
            descriptor = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return
        ended = asyncio.Event()
        loop = asyncio.get_running_loop()
        loop.add_reader(descriptor, ended.set)
        try:
            await ended.wait()
        finally:
            loop.remove_reader(descriptor)
            os.close(descriptor)
            self.alive()  # reaps it

    async def end(self, first: signal.Signals, patience: float) -> None:
        """End it: ``first``, after ``patience`` seconds SIGTERM, after 2 more SIGKILL."""
        for number, wait in ((first, patience), (signal.SIGTERM, 2.0), (signal.SIGKILL, 5.0)):
            if not self.alive():
                break
            self.send(number)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.exited(), wait)
        self.forget()

    def forget(self) -> None:
        """Nothing runs any more, or it is to run on without us."""
        if not self.alive():
            self._pid_file.unlink(missing_ok=True)
        self.pid = None

    def last_words(self) -> str:
        """The last lines that it wrote, for an error message."""
        try:
            lines = self.log_file.read_text(errors="replace").strip().splitlines()
        except OSError:
            return ""
        return " / ".join(lines[-4:])


async def check(argv: Sequence[str], timeout: float) -> tuple[int, str]:
    """Run a short program; its exit status and output. Raises ComponentError."""
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
