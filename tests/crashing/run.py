"""Runs the write path under the load of several clients, and kills its process repeatedly."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import multiprocessing
import os
import random
import shutil
import sys
import tempfile
import time
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Final

from nova_cachemig.agent.journal.failpoints import POINTS
from tests.crashing import child
from tests.crashing.client import Client, Wire
from tests.crashing.front import Front
from tests.crashing.guest import GRACE, Guest
from tests.crashing.migrations import migrate, migrate_alone
from tests.crashing.oplog import Verdict
from tests.crashing.restarts import Restarts
from tests.crashing.verdict import Evidence, verdict_of
from tests.crashing.volume import Volume

_TIMEOUT: Final = 60.0  # seconds for a start, and for a drain beside its replay
_SLOWEST_REPLAY: Final = 100.0  # writes/s, on a busy machine
_RESUME_DELAY: Final = GRACE + 0.3  # seconds; the agent may hear late of a pause
_CHECK_EVERY: Final = 20  # power cuts between two checks of the whole file system
_LONGEST: Final = 5.0  # seconds until a process is killed in any case
_LIVES: Final = 2.5  # seconds at most of a process behind an edge, where writes go on without it


@dataclasses.dataclass(frozen=True)
class Plan:
    """The parameters of a run."""

    kills: int
    writes: int
    honours_keys: bool
    seed: int = 1
    clients: int = 12
    window: int = 16
    connection: str | None = None
    power: bool = False  # cut the power instead: everything unsynced is lost
    edge: bool = False  # a whole agent behind HAProxy and Varnish, and migrations that end
    grace: float = GRACE  # of the guest
    planted: str | None = None  # a fault that the judge must find: see planted.py


class Run:
    """One run, over one journal."""

    def __init__(self, plan: Plan, directory: Path, restarts: Restarts | None = None) -> None:
        self._plan = plan
        self._restarts = restarts
        self._volume = Volume(directory) if plan.power else None
        self._outside = directory
        self._directory = directory if self._volume is None else self._volume.path
        self._socket = str(directory / "intake.sock")
        self._random = random.Random(plan.seed)
        self._guest = Guest(
            honours_keys=plan.honours_keys, seed=plan.seed, edge=plan.edge, grace=plan.grace
        )
        # The fork server of Python 3.11 does not inherit sys.path, and would preload nothing.
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(["tests.crashing.child"])
        self._front: Front | None = None
        self._clients: list[Client] = []
        self._options: child.Options | None = None
        self._killed_at: list[float] = []  # monotonic time
        self.by_point: dict[str, int] = {}

    @property
    def kills(self) -> int:
        """Number of processes that were killed."""
        return len(self._killed_at)

    async def run(self) -> Verdict:
        """Kill until the plan is complete, then drain and judge."""
        async with self.started():
            await self.kill(self._plan.kills)
            return await self.judge()

    @contextlib.asynccontextmanager
    async def started(self) -> Any:
        """Run the guest, the volume, the edge and the restarts of the database."""
        async with contextlib.AsyncExitStack() as stack:
            if self._volume is not None:
                self._volume.mount()
                stack.callback(self._volume.destroy)
            await self._guest.start()
            stack.callback(self._guest.stop)
            if self._plan.edge:
                self._front = Front(self._directory, self._guest.ports, self._socket)
                stack.push_async_callback(self._front.stop)
                await self._front.start(honours_keys=self._plan.honours_keys)
            self._options = self._options_for_children()
            self._clients = [self._client(number) for number in range(self._plan.clients)]
            for client in self._clients:
                stack.callback(client.close)
            yield

    def _options_for_children(self) -> child.Options:
        journal = {
            "send_window": self._plan.window,
            "resume_delay": _RESUME_DELAY,
            "connection": self._plan.connection,
            "intake_socket": self._socket,
        }
        return child.Options(
            str(self._directory),
            str(self._outside / "notes"),
            journal,
            self._plan.honours_keys,
            self._plan.planted,
            self._front.where if self._front is not None else None,
        )

    def _client(self, number: int) -> Client:
        keyed = self._plan.honours_keys
        wire = Wire(self._socket)
        if self._front is not None:  # the edge tells clients apart by their addresses
            wire = Wire(("127.0.0.1", self._front.where.front), f"127.0.1.{number + 1}")
        return Client(
            f"c{number}",
            wire,
            keyed=keyed,
            respond_async=number % 2 == 0 and not keyed,
            seed=self._plan.seed + number,
            edge=self._plan.edge,
        )

    @contextlib.asynccontextmanager
    async def _restarting(self) -> Any:
        task = asyncio.create_task(self._restarts.run()) if self._restarts else None
        try:
            yield
        finally:
            if task is not None:
                task.cancel()

    async def kill(self, kills: int) -> None:
        """Kill until there were ``kills``, and the plan's share of writes; then end the load."""
        stop = asyncio.Event()
        load = [asyncio.create_task(client.run(stop)) for client in self._clients]
        writes = self._plan.writes * kills / self._plan.kills
        try:
            async with self._restarting():
                while self.kills < kills or self._written() < writes:
                    for task in load:
                        if task.done():
                            task.result()
                    await self._life()
            stop.set()
            await self._drain(load)
        finally:
            stop.set()
            for task in load:
                task.cancel()

    async def _drain(self, load: list[asyncio.Task[None]]) -> None:
        """Let the last process bring all writes to their end."""
        process, pipe = await self._begin([])
        self._guest.resume()
        commands = ("complete",) if self._plan.edge else ("send", self._guest.ports[0])
        pipe.send(commands)
        backlog = _TIMEOUT + self._written() / _SLOWEST_REPLAY
        for _ in range(2):
            pipe.send(("idle",))
            await self._receive(pipe, process, backlog)
            await asyncio.gather(*load)
        self._outcomes = await self._look_at_outcomes()
        pipe.send(("stop",))
        await self._receive(pipe, process)
        await asyncio.to_thread(process.join)
        await asyncio.sleep(self._plan.grace)
        self._guest.end_orphans()

    async def _look_at_outcomes(self) -> dict[str, str]:
        """Return what the newest status URLs tell, by the ids of the writes."""
        newest = [w for c in self._clients for w in c.oplog[-20:] if w.status_url]
        wire = Wire(self._socket)
        found = {}
        for write in newest:
            head = f"GET {write.status_url} HTTP/1.1\r\nHost: shop.example\r\n"
            reply = await wire.exchange(f"{head}X-Cachemig-Service: shop\r\n\r\n")
            found[write.id] = reply.body.decode("latin-1")
        wire.drop()
        return found

    async def judge(self) -> Verdict:
        """Judge all that has happened until now. Only between two loads."""
        assert self._options is not None
        notes = Path(self._options.notes)
        evidence = Evidence(self._clients, self._guest, notes, self._outcomes, self._killed_at)
        return verdict_of(evidence, self._plan.connection, self._directory)

    def _written(self) -> int:
        # Not those that were refused: a slow start refuses many, and none of them is at risk.
        return sum(len(client.oplog) - client.refused for client in self._clients)

    async def _begin(self, armed: list[str]) -> tuple[BaseProcess, Connection]:
        async with self._restarts.available if self._restarts else contextlib.nullcontext():
            process, pipe = self._start(armed)
            with contextlib.suppress(EOFError) if armed else contextlib.nullcontext():
                await self._receive(pipe, process)
            return process, pipe

    def _start(self, armed: list[str]) -> tuple[BaseProcess, Connection]:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=child.main, args=(self._options, theirs, armed))
        process.start()
        theirs.close()
        return process, ours

    async def _receive(
        self, pipe: Connection, process: BaseProcess, timeout: float = _TIMEOUT
    ) -> str:
        if not await asyncio.to_thread(pipe.poll, timeout):
            raise TimeoutError(f"nothing from process {process.pid} for {timeout:.0f} s")
        return str(pipe.recv())

    async def _life(self) -> None:
        point = self._random.choice(sorted(POINTS)) if self._random.random() < 0.6 else None
        share = self._plan.writes / max(self._plan.kills, 1)  # writes per process
        nth = self._random.choice((1, 2, 5, max(1, int(share / 3)), max(1, int(share))))
        armed = [f"{point}=kill@{nth}"] if point else []
        process, pipe = await self._begin(armed)
        migrating = asyncio.create_task(self._migrate(pipe, process))
        await self._wait(process, (self.kills + 1) * share)
        if self._random.random() < 0.7:  # then some writes are in flight
            self._guest.pause()
        await asyncio.sleep(self._random.random() * 0.05)
        if process.is_alive():
            process.kill()
            point = None
        if self._volume is not None:
            self._volume.cut_power()
        await asyncio.to_thread(process.join)
        self._killed_at.append(time.monotonic())
        if self._volume is not None:
            await asyncio.to_thread(self._restore, self._volume)
        migrating.cancel()
        await asyncio.gather(migrating, return_exceptions=True)
        if self._random.random() < 0.5:  # it stays as it is until the next process is ready
            self._guest.pause()
        pipe.close()
        self.by_point[point or "random"] = self.by_point.get(point or "random", 0) + 1

    async def _migrate(self, pipe: Connection, process: BaseProcess) -> None:
        with contextlib.suppress(OSError, EOFError):  # it was killed
            if self._plan.edge:
                await migrate(
                    self._random, self._guest, pipe.send, lambda: self._receive(pipe, process)
                )
            else:
                await migrate_alone(self._random, self._guest, pipe.send)

    def _restore(self, volume: Volume) -> None:
        volume.unmount()
        if self.kills % _CHECK_EVERY == 0:
            volume.check()
        volume.mount()

    async def _wait(self, process: BaseProcess, writes: float) -> None:
        """Wait until its failpoint has killed it, or its share of writes is done."""
        longest = self._random.random() * _LIVES if self._plan.edge else _LONGEST
        deadline = time.monotonic() + longest
        while process.is_alive() and time.monotonic() < deadline:
            enough = not self._plan.edge and self._written() >= writes
            if enough and self._random.random() < 0.5:
                return
            await asyncio.sleep(0.005)


async def execute(plan: Plan, restarts: Restarts | None = None) -> tuple[Run, Verdict]:
    """Run in a temporary directory, during ``restarts`` of the database."""
    directory = Path(tempfile.mkdtemp(prefix="crash-"))
    try:
        run = Run(plan, directory, restarts)
        return run, await run.run()
    finally:
        shutil.rmtree(directory, ignore_errors=True)
