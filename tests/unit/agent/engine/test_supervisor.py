"""The supervisor: starts, restarts and gives up."""

from __future__ import annotations

import asyncio
import os
import signal

from nova_cachemig.agent.engine.process import Process
from nova_cachemig.agent.engine.supervisor import Supervisor
from nova_cachemig.agent.ports import ComponentError
from tests.unit.agent.engine.case import SHELL, SLEEP, ProcessCase


class Supervision(ProcessCase):
    def supervisor(self, process: Process, ready: bool = True, timeout: float = 20) -> Supervisor:
        self.prepared = 0

        def prepare() -> None:
            self.prepared += 1

        async def responds() -> None:
            if not ready:
                await asyncio.Event().wait()
            assert process.pid is not None
            self.pids.add(process.pid)

        return Supervisor(process, prepare, responds, timeout=timeout)

    async def test_a_process_that_dies_is_restarted_with_its_files(self) -> None:
        process = self.process(SLEEP, "60")
        supervisor = self.supervisor(process)
        await supervisor.start()
        first = process.pid
        assert first is not None
        os.kill(first, signal.SIGKILL)
        async with asyncio.timeout(5):
            while process.pid == first or self.prepared < 2:  # noqa: ASYNC110
                await asyncio.sleep(0.005)
        await supervisor.unwatch()
        self.assertEqual((2, 1), (self.prepared, supervisor.restarts))

    async def test_an_early_end_is_an_error_with_the_output(self) -> None:
        process = self.process(SHELL, "-c", "echo 'bad option'; exit 1")
        with self.assertRaisesRegex(ComponentError, "x ended: bad option"):
            await self.supervisor(process, ready=False).start()
        self.assertIsNone(process.pid)

    async def test_a_process_that_never_responds_is_terminated(self) -> None:
        process = self.process(SLEEP, "60")
        with self.assertRaisesRegex(ComponentError, "did not respond within 0.05 s"):
            await self.supervisor(process, ready=False, timeout=0.05).start()
        self.assertIsNone(process.pid)

    async def test_a_process_that_nothing_watches_stays_down(self) -> None:
        process = self.process(SLEEP, "60")
        supervisor = self.supervisor(process)
        await supervisor.start()
        await supervisor.unwatch()
        await process.terminate(signal.SIGKILL, 5)
        self.assertEqual(1, self.prepared)
