"""Processes that outlive who started them, and their supervisor."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import tempfile
import unittest
from pathlib import Path

from nova_cachemig.agent.engine import files
from nova_cachemig.agent.engine.process import Process, check, program
from nova_cachemig.agent.engine.supervisor import Supervisor
from nova_cachemig.agent.ports import ComponentError

SLEEP = shutil.which("sleep") or "/bin/sleep"
SHELL = shutil.which("sh") or "/bin/sh"


class Case(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.pids: set[int] = set()
        self.addCleanup(self.end)

    def end(self) -> None:
        for pid in self.pids:
            with contextlib.suppress(ProcessLookupError, ChildProcessError):
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)

    def process(self, *argv: str) -> Process:
        return Process("x", argv, self.folder)

    def spawn(self, process: Process) -> int:
        process.spawn()
        assert process.pid is not None
        self.pids.add(process.pid)
        return process.pid


class Processes(Case):
    async def test_spawn_exit_and_last_words(self) -> None:
        process = self.process(SHELL, "-c", "echo one; echo two >&2")
        self.spawn(process)
        await asyncio.wait_for(process.exited(), 5)
        self.assertFalse(process.alive())
        self.assertEqual("one / two", process.last_words())

    async def test_it_has_a_session_of_its_own(self) -> None:
        pid = self.spawn(self.process(SLEEP, "60"))
        self.assertEqual(pid, os.getsid(pid))

    async def test_another_takes_it_over_and_sees_it_end(self) -> None:
        pid = self.spawn(self.process(SLEEP, "60"))
        other = self.process(SLEEP, "60")
        self.assertTrue(other.adopt())
        async with asyncio.timeout(10):
            while other.command() != [SLEEP, "60"]:  # noqa: ASYNC110 - between fork and exec
                await asyncio.sleep(0.01)
        self.assertEqual((pid, [SLEEP, "60"]), (other.pid, other.command()))
        gone = asyncio.create_task(other.exited())
        await other.end(signal.SIGTERM, 5)
        await asyncio.wait_for(gone, 5)
        self.assertFalse(self.process(SLEEP).adopt())

    async def test_a_pid_that_was_used_anew_is_not_taken_over(self) -> None:
        pid = self.spawn(self.process(SLEEP, "60"))
        (self.folder / "x.pid").write_text(f'{{"pid": {pid}, "begun": 1}}')
        self.assertFalse(self.process(SLEEP).adopt())
        for damage in ("", "{}", "[]", '{"pid": "x", "begun": 1}', '{"pid": 1}'):
            (self.folder / "x.pid").write_text(damage)
            self.assertFalse(self.process(SLEEP).adopt(), damage)

    async def test_one_that_ignores_the_signal_is_killed(self) -> None:
        process = self.process(SHELL, "-c", "trap '' TERM; echo up; while :; do sleep 0.01; done")
        self.spawn(process)
        while "up" not in process.last_words():  # noqa: ASYNC110
            await asyncio.sleep(0.005)
        await process.end(signal.SIGTERM, 0.05)
        self.assertIsNone(process.pid)

    def test_a_missing_program_is_named(self) -> None:
        with self.assertRaisesRegex(ComponentError, r"\[engine\] haproxy = no-such"):
            program("no-such", "haproxy")
        with self.assertRaisesRegex(ComponentError, "cannot be started"):
            self.process("/no/such").spawn()

    async def test_check(self) -> None:
        self.assertEqual((3, "x\n"), await check([SHELL, "-c", "echo x; exit 3"], 5))
        with self.assertRaisesRegex(ComponentError, "did not finish"):
            await check([SLEEP, "60"], 0.05)
        with self.assertRaisesRegex(ComponentError, "cannot be started"):
            await check(["/no/such"], 1)


class Supervision(Case):
    def supervisor(self, process: Process, ready: float = 0, timeout: float = 20) -> Supervisor:
        self.prepared = 0

        def prepare() -> None:
            self.prepared += 1

        async def answers() -> None:
            await asyncio.sleep(ready)
            assert process.pid is not None
            self.pids.add(process.pid)

        return Supervisor(process, prepare, answers, timeout=timeout)

    async def test_what_dies_is_started_again_with_its_files(self) -> None:
        process = self.process(SLEEP, "60")
        keeper = self.supervisor(process)
        await keeper.start()
        first = process.pid
        assert first is not None
        os.kill(first, signal.SIGKILL)
        async with asyncio.timeout(5):
            while process.pid == first or self.prepared < 2:  # noqa: ASYNC110
                await asyncio.sleep(0.005)
        await keeper.unwatch()
        self.assertEqual((2, 1), (self.prepared, keeper.restarts))

    async def test_one_that_ends_at_once_is_an_error_with_its_words(self) -> None:
        process = self.process(SHELL, "-c", "echo 'bad option'; exit 1")
        with self.assertRaisesRegex(ComponentError, "ended at once: bad option"):
            await self.supervisor(process, ready=60).start()
        self.assertIsNone(process.pid)

    async def test_one_that_never_answers_is_ended(self) -> None:
        process = self.process(SLEEP, "60")
        with self.assertRaisesRegex(ComponentError, "did not answer within 0.5 s"):
            await self.supervisor(process, ready=60, timeout=0.5).start()
        self.assertIsNone(process.pid)


class Installing(Case):
    async def test_valid_text_is_swapped_in(self) -> None:
        path = self.folder / "f"

        async def good(draft: Path) -> tuple[int, str]:
            self.assertTrue(files.holds(draft, "new"))
            return 0, ""

        self.assertTrue(await files.install(path, "new", good))
        self.assertEqual("new", path.read_text())
        self.assertFalse(await files.install(path, "new", good))

    async def test_what_is_refused_is_kept_beside(self) -> None:
        path = self.folder / "f"
        path.write_text("old")

        async def bad(draft: Path) -> tuple[int, str]:
            return 1, "[NOTICE] x\n[ALERT] line 3: no such thing\n"

        with self.assertRaisesRegex(ComponentError, "line 3: no such thing"):
            await files.install(path, "new", bad)
        self.assertEqual("old", path.read_text())
        self.assertEqual("new", (self.folder / "f.failed").read_text())
