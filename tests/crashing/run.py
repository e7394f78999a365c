"""Runs the write path under the load of several clients, and kills its process repeatedly."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import dataclasses
import json
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
from typing import Any

import sqlalchemy as sa

from nova_cachemig.agent.journal import database
from nova_cachemig.agent.journal.failpoints import POINTS
from nova_cachemig.agent.journal.record import from_row
from nova_cachemig.agent.journal.schema import WRITES
from tests.crashing import child
from tests.crashing.client import Client
from tests.crashing.guest import Guest
from tests.crashing.oplog import Verdict, judge
from tests.crashing.restarts import Restarts
from tests.crashing.volume import Volume
from tests.functional.journal.servers import MariaDB, PostgreSQL, Server

_TIMEOUT = 60.0  # seconds for a start or a drain
_RESTART_EVERY = 5.0  # seconds between restarts of the database
_CHECK_EVERY = 20  # power cuts between two checks of the whole file system
_FAULTS = ("lost", "doubled", "reordered", "refused_but_applied", "in_doubt_unlisted")
_SERVERS: dict[str, type[Server]] = {"postgresql": PostgreSQL, "mariadb": MariaDB}


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
    planted: str | None = None  # a fault that the judge must find: see child.py


class Run:
    """One run, over one journal."""

    def __init__(self, plan: Plan, directory: Path, restarts: Restarts | None = None) -> None:
        self._plan = plan
        self._restarts = restarts
        self._volume = Volume(directory) if plan.power else None
        self._directory = directory if self._volume is None else self._volume.path
        self._socket = str(directory / "intake.sock")
        self._random = random.Random(plan.seed)
        self._guest = Guest(honours_keys=plan.honours_keys, seed=plan.seed)
        # The fork server of Python 3.11 does not inherit sys.path, and would preload nothing.
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(["tests.crashing.child"])
        self._clients = [
            Client(f"c{n}", self._socket, keyed=plan.honours_keys,
                   respond_async=n % 2 == 0 and not plan.honours_keys, seed=plan.seed + n)
            for n in range(plan.clients)
        ]  # fmt: skip
        self.kills = 0
        self.by_point: dict[str, int] = {}

    async def run(self) -> Verdict:
        """Kill until the plan is complete, then drain and judge."""
        if self._volume is not None:
            self._volume.mount()
        try:
            return await self._run()
        finally:
            if self._volume is not None:
                self._volume.destroy()

    async def _run(self) -> Verdict:
        await self._guest.start()
        stop = asyncio.Event()
        restarting = asyncio.create_task(self._restarts.run()) if self._restarts else None
        load = [asyncio.create_task(client.run(stop)) for client in self._clients]
        try:
            while self.kills < self._plan.kills or self._written() < self._plan.writes:
                for task in load:
                    if task.done():
                        task.result()
                await self._life()
            stop.set()
            if restarting is not None:
                restarting.cancel()
            process, pipe = await self._begin([])
            self._guest.running.set()
            pipe.send(("send", self._guest.ports[0]))
            pipe.send(("drain",))
            await self._receive(pipe, process)
            await asyncio.gather(*load)
            pipe.send(("drain",))
            await self._receive(pipe, process)
            pipe.send(("stop",))
            await self._receive(pipe, process)
            await asyncio.to_thread(process.join)
        finally:
            stop.set()
            if restarting is not None:
                restarting.cancel()
            self._guest.stop()
        oplog = [write for client in self._clients for write in client.oplog]
        return judge(oplog, self._guest.received, self._guest.applied, self._listed(),
                     honours_keys=self._plan.honours_keys)  # fmt: skip

    def _written(self) -> int:
        # Not those that were refused: a slow start refuses many, and none of them is at risk.
        return sum(len(client.oplog) - client.refused for client in self._clients)

    async def _begin(self, armed: list[str]) -> tuple[BaseProcess, Connection]:
        async with self._restarts.available if self._restarts else contextlib.nullcontext():
            process, pipe = self._start(armed)
            if not armed:
                await self._receive(pipe, process)
            elif self._restarts is not None:  # it is ready, or was killed before
                with contextlib.suppress(EOFError):
                    await self._receive(pipe, process)
            return process, pipe

    def _start(self, armed: list[str]) -> tuple[BaseProcess, Connection]:
        ours, theirs = self._context.Pipe()
        options: dict[str, Any] = {
            "honours_keys": self._plan.honours_keys,
            "send_window": self._plan.window,
            "resume_delay": 0.25,  # the guest needs at most 4 ms for each of 16 writes
            "connection": self._plan.connection,
            "intake_socket": self._socket,
            "planted": self._plan.planted,
        }
        process = self._context.Process(
            target=child.main, args=(str(self._directory), theirs, armed, options)
        )
        process.start()
        theirs.close()
        return process, ours

    async def _receive(self, pipe: Connection, process: BaseProcess) -> tuple[str, list[str]]:
        if not await asyncio.to_thread(pipe.poll, _TIMEOUT):
            raise TimeoutError(f"nothing from process {process.pid} for {_TIMEOUT} s")
        return pipe.recv()

    async def _life(self) -> None:
        point = self._random.choice([None, None, *sorted(POINTS)])
        share = self._plan.writes / max(self._plan.kills, 1)  # writes per process
        nth = self._random.choice((1, 2, 5, max(1, int(share / 3)), max(1, int(share))))
        armed = [f"{point}=kill@{nth}"] if point else []
        process, pipe = await self._begin(armed)
        migrating = asyncio.create_task(self._migrate(pipe))
        await self._wait(process, (self.kills + 1) * share)
        await asyncio.sleep(self._random.random() * 0.05)
        if process.is_alive():
            process.kill()
            point = None
        if self._volume is not None:
            self._volume.cut_power()
        await asyncio.to_thread(process.join)
        if self._volume is not None:
            await asyncio.to_thread(self._restore, self._volume)
        migrating.cancel()
        await asyncio.gather(migrating, return_exceptions=True)
        self._guest.running.set()
        pipe.close()
        self.kills += 1
        self.by_point[point or "random"] = self.by_point.get(point or "random", 0) + 1

    def _restore(self, volume: Volume) -> None:
        volume.unmount()
        if self.kills % _CHECK_EVERY == 0:
            volume.check()
        volume.mount()

    async def _wait(self, process: BaseProcess, writes: float) -> None:
        """Wait until its failpoint has killed it, or its share of writes is done; at most 5 s."""
        deadline = time.monotonic() + 5.0
        while process.is_alive() and time.monotonic() < deadline:
            if self._written() >= writes and self._random.random() < 0.5:
                return
            await asyncio.sleep(0.005)

    async def _migrate(self, pipe: Connection) -> None:
        """Pause and resume the guest, at the same port or the other one."""
        try:
            port = self._random.choice(self._guest.ports)
            pipe.send(("send", port))
            while True:
                await asyncio.sleep(self._random.random() * 0.1)
                self._guest.running.clear()
                pipe.send(("hold",))
                await asyncio.sleep(self._random.random() * 0.05)
                self._guest.running.set()
                if self._random.random() < 0.7:  # else a rollback: the guest stays at the source
                    port = self._random.choice(self._guest.ports)
                pipe.send(("send", port))
                pipe.send(("drain",))
        except OSError:
            return  # it was killed

    def _listed(self) -> set[str]:
        url = database.url_for(self._plan.connection, self._directory)
        with database.create_engine(url).connect() as connection:
            in_doubt = sa.select(WRITES).where(WRITES.c.state == "in_doubt")
            writes = [from_row(row) for row in connection.execute(in_doubt).mappings()]
        return {dict(write.headers)["x-write"] for write in writes}


def outcome(runs: list[tuple[Run, Verdict]], seconds: float) -> dict[str, Any]:
    """Return the figures for ``--json``."""
    verdicts = [verdict for _, verdict in runs]
    return {
        "kills": sum(run.kills for run, _ in runs),
        "writes": sum(verdict.writes for verdict in verdicts),
        "acknowledged": sum(verdict.acknowledged for verdict in verdicts),
        "lost": sum(len(verdict.lost) for verdict in verdicts),
        "doubled": sum(len(verdict.doubled) for verdict in verdicts),
        "reordered": sum(len(verdict.reordered) for verdict in verdicts),
        "refused_but_applied": sum(len(verdict.refused_but_applied) for verdict in verdicts),
        "in_doubt_listed": sum(verdict.in_doubt_listed for verdict in verdicts),
        "in_doubt_unlisted": sum(len(verdict.in_doubt_unlisted) for verdict in verdicts),
        "reapplied_idempotent": sum(verdict.reapplied for verdict in verdicts),
        "kills_by_point": [run.by_point for run, _ in runs],
        "seconds": round(seconds, 1),
    }


async def execute(plan: Plan, restarts: Restarts | None = None) -> tuple[Run, Verdict]:
    """Run in a temporary directory, during ``restarts`` of the database."""
    directory = Path(tempfile.mkdtemp(prefix="crash-"))
    try:
        run = Run(plan, directory, restarts)
        return run, await run.run()
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _with_server(plan: Plan, make: type[Server]) -> tuple[tuple[Run, Verdict], int]:
    """Run over a new database server. Returns also the number of its restarts."""
    if (why := make.missing()) is not None:
        raise SystemExit(why)
    server = make()
    try:
        restarts = Restarts(server, _RESTART_EVERY, plan.seed)
        plan = dataclasses.replace(plan, connection=server.url)
        return asyncio.run(execute(plan, restarts)), restarts.count
    finally:
        server.destroy()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="tests/crash", description=__doc__)
    parser.add_argument("--kills", type=int, default=100, help="minimum number of kill -9")
    parser.add_argument("--writes", type=int, default=5000, help="minimum number of writes")
    parser.add_argument(
        "--seed", type=int, default=int(time.time()), help="for the random generators"
    )
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--connection", help="SQLAlchemy URL instead of SQLite")
    where.add_argument(
        "--server", choices=sorted(_SERVERS), help="start a database server and restart it"
    )
    where.add_argument(
        "--power-cuts", type=int, metavar="N",
        help="instead of kills: cut the power of an ext4 in a loop file; needs root",
    )  # fmt: skip
    parser.add_argument("--json", type=Path, help="file for the figures")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run twice: a guest that honours keys, and one that does not. Returns 0 without a fault."""
    options = _parser().parse_args(argv)
    began = time.monotonic()
    runs, restarts = [], 0
    kills = options.power_cuts or options.kills
    for keys in (True, False):
        plan = Plan(
            kills=(kills + 1) // 2,
            writes=(options.writes + 1) // 2,
            honours_keys=keys,
            seed=options.seed + keys,
            connection=options.connection,
            power=options.power_cuts is not None,
        )
        if options.server:
            run, count = _with_server(plan, _SERVERS[options.server])
            restarts += count
        else:
            run = asyncio.run(execute(plan))
        runs.append(run)
    figures = outcome(runs, time.monotonic() - began) | {"seed": options.seed}
    if options.power_cuts:
        figures["power_cuts"] = figures.pop("kills")
    if options.server:
        figures |= {"database": options.server, "database_restarts": restarts}
    text = json.dumps(figures, indent=2)
    print(text)
    if options.json:
        options.json.write_text(text + "\n")
    for _, verdict in runs:
        for fault in _FAULTS:
            if getattr(verdict, fault):
                print(f"{fault}: {getattr(verdict, fault)[:20]}", file=sys.stderr)
    return 1 if any(figures[fault] for fault in _FAULTS) else 0
