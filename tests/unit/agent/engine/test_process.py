"""Processes that survive the agent that started them."""

from __future__ import annotations

import asyncio
import os
import signal

from nova_cachemig.agent.engine.process import MAX_LOG_SIZE, find_program, run_to_end
from nova_cachemig.agent.ports import ComponentError
from tests.unit.agent.engine.case import SHELL, SLEEP, ProcessCase


class Processes(ProcessCase):
    async def test_spawn_end_and_output(self) -> None:
        process = self.process(SHELL, "-c", "echo one; echo two >&2")
        self.spawn(process)
        await asyncio.wait_for(process.wait(), 5)
        self.assertFalse(process.is_running())
        self.assertEqual("one / two", process.log_tail())

    async def test_it_has_its_own_session(self) -> None:
        pid = self.spawn(self.process(SLEEP, "60"))
        self.assertEqual(pid, os.getsid(pid))

    async def test_another_agent_adopts_it_and_sees_its_end(self) -> None:
        pid = self.spawn(self.process(SLEEP, "60"))
        other = self.process(SLEEP, "60")
        self.assertTrue(other.adopt())
        async with asyncio.timeout(10):
            while other.command_line() != [SLEEP, "60"]:  # noqa: ASYNC110 - between fork and exec
                await asyncio.sleep(0.01)
        self.assertEqual((pid, [SLEEP, "60"]), (other.pid, other.command_line()))
        ended = asyncio.create_task(other.wait())
        await other.terminate(signal.SIGTERM, 5)
        await asyncio.wait_for(ended, 5)
        self.assertFalse(self.process(SLEEP).adopt())

    async def test_a_reused_pid_is_not_adopted(self) -> None:
        pid = self.spawn(self.process(SLEEP, "60"))
        (self.folder / "x.pid").write_text(f'{{"pid": {pid}, "begun": 1}}')
        self.assertFalse(self.process(SLEEP).adopt())
        for damage in ("", "{}", "[]", '{"pid": "x", "begun": 1}', '{"pid": 1}'):
            (self.folder / "x.pid").write_text(damage)
            self.assertFalse(self.process(SLEEP).adopt(), damage)

    async def test_a_process_that_ignores_the_signal_is_killed(self) -> None:
        process = self.process(SHELL, "-c", "trap '' TERM; echo up; while :; do sleep 0.01; done")
        self.spawn(process)
        while "up" not in process.log_tail():  # noqa: ASYNC110
            await asyncio.sleep(0.005)
        await process.terminate(signal.SIGTERM, 0.05)
        self.assertIsNone(process.pid)

    async def test_a_signal_that_was_lost_is_repeated(self) -> None:
        # The first signal is caught without an effect, as HAProxy does just after a reload.
        trap = "n=0; trap 'n=$((n+1)); [ $n -lt 2 ] || exit 0' USR1; while :; do sleep 0.02; done"
        process = self.process(SHELL, "-c", "echo up; " + trap)
        self.spawn(process)
        async with asyncio.timeout(10):
            while process.log_tail() != "up":  # noqa: ASYNC110 - a process has no event
                await asyncio.sleep(0.01)
        async with asyncio.timeout(20):
            await process.terminate(signal.SIGUSR1, 60)
        self.assertIsNone(process.pid)

    def test_a_missing_program_is_named(self) -> None:
        with self.assertRaisesRegex(ComponentError, r"\[engine\] haproxy = no-such"):
            find_program("no-such", "haproxy")
        with self.assertRaisesRegex(ComponentError, "cannot be started"):
            self.process("/no/such").spawn()

    async def test_run_to_end(self) -> None:
        self.assertEqual((3, "x\n"), await run_to_end([SHELL, "-c", "echo x; exit 3"], 5))
        with self.assertRaisesRegex(ComponentError, "did not finish"):
            await run_to_end([SLEEP, "60"], 0.05)
        with self.assertRaisesRegex(ComponentError, "cannot be started"):
            await run_to_end(["/no/such"], 1)

    async def test_a_large_log_is_deleted_before_the_next_start(self) -> None:
        process = self.process(SHELL, "-c", "echo new")
        with process.log_file.open("wb") as file:
            file.truncate(MAX_LOG_SIZE + 1)
        self.spawn(process)
        await asyncio.wait_for(process.wait(), 5)
        self.assertEqual("new", process.log_tail())
