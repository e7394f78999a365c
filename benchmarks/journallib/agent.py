"""The agent's process: the whole write path, and two journals that only commit."""

from __future__ import annotations

import asyncio
import dataclasses
import gc
import os
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from benchmarks.journallib.peers import BODY
from nova_cachemig.agent.journal.committer import Committer
from nova_cachemig.agent.journal.record import to_row
from nova_cachemig.agent.journal.statements import Append, Step
from nova_cachemig.agent.journal.store import Journal
from nova_cachemig.agent.writes import Writes
from nova_cachemig.model.service import Target, WriteMode
from nova_cachemig.model.write import AcceptedWrite, Body
from tests.functional.replay.path import conf_for, service

_POLL = 0.005  # seconds between checks of the replay's progress
KEYED = "keyed"  # the service whose guest honours keys; the other service is "shop"
_HEADERS = (("user-agent", "bench/1"), ("accept", "*/*"), ("content-type", "a/b"))


@dataclasses.dataclass(frozen=True, slots=True)
class Counts:
    """Counters of the process since its start."""

    commits: int
    steps: int
    in_commits: float  # seconds
    in_sync: float  # seconds in COMMIT: the write to the log and its fsync
    cpu: float  # seconds
    waiting: int  # writes on disk, not yet sent
    rss: float  # MiB


@dataclasses.dataclass(frozen=True, slots=True)
class Batches:
    """Counters of the journal alone, during one measurement."""

    commits: int
    writes: int
    seconds: float
    in_commits: float  # seconds
    in_sync: float  # seconds in COMMIT


def rss_mb() -> float:
    """Return this process's resident memory in MiB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("no VmRSS")


def serve(directory: str, pipe: Connection, core: int) -> None:
    """Call the methods that arrive through the pipe, (method, arguments...), until "stop"."""
    import uvloop

    os.sched_setaffinity(0, {core})
    uvloop.run(_serve(Path(directory), pipe))


async def _serve(directory: Path, pipe: Connection) -> None:
    agent = _Agent(directory)
    await agent.start()
    pipe.send(rss_mb())
    commands: asyncio.Queue[Any] = asyncio.Queue()
    asyncio.get_running_loop().add_reader(pipe.fileno(), lambda: commands.put_nowait(pipe.recv()))
    while (command := await commands.get()) != ("stop",):
        pipe.send(await getattr(agent, command[0])(*command[1:]))
    await agent.stop()


class _FileCommitter(Committer):
    """Commits to a file instead of the database."""

    def to(self, path: Path) -> _FileCommitter:
        self._fd = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
        return self

    def _try_commit(self, steps: Sequence[Step], *, look_first: bool) -> None:
        began = time.perf_counter()
        records = []
        for step in steps:
            assert isinstance(step, Append)
            record = b"".join(_bytes(value) for value in step.row.values())
            records += [len(record).to_bytes(4, "big"), record]
        os.write(self._fd, b"".join(records))
        performed = time.perf_counter()
        os.fdatasync(self._fd)
        self._counts.commits += 1
        self._counts.steps += len(steps)
        self._counts.transaction_time += time.perf_counter() - began
        self._counts.commit_time += time.perf_counter() - performed


def _bytes(value: object) -> bytes:
    if isinstance(value, bytes):
        return value
    return value.encode() if isinstance(value, str) else int(value or 0).to_bytes(8, "big")  # type: ignore


class _Agent:
    def __init__(self, directory: Path) -> None:
        self._writes = Writes(conf_for(directory))
        self._journals: dict[str, Journal] = {}
        for name in ("sqlite", "file"):
            (directory / name).mkdir()
            self._journals[name] = Journal(conf_for(directory / name))
        self._position = 0

    async def start(self) -> None:
        await self._writes.start()
        await self._writes.open(service(writes=WriteMode.ACCEPT))
        await self._writes.open(service(KEYED, writes=WriteMode.ACCEPT, honours_keys=True))
        for journal in self._journals.values():
            await journal.open()
        file = self._journals["file"]
        await file.writer.stop()
        writer = file.writer
        committer = _FileCommitter(file.engine, file.failpoints, writer.counts, writer._report)
        writer._committer = committer.to(file.state_dir / "appended")
        writer.start()
        gc.collect()
        gc.freeze()  # as the agent does when it has started

    async def stop(self) -> None:
        await self._writes.stop()
        for journal in self._journals.values():
            await journal.close()

    async def counts(self) -> Counts:
        writer = self._writes.journal.writer.counts
        waiting = (await self._writes.counts("shop")).waiting
        return Counts(writer.commits, writer.steps, writer.transaction_time, writer.commit_time,
                      time.process_time(), waiting, rss_mb())  # fmt: skip

    async def replay(self, port: int, count: int, name: str) -> float:
        """Replay ``count`` waiting writes of service ``name``; return writes per second."""
        responded = (await self._writes.counts(name)).responded
        replay = self._writes._intakes[name].replay
        began = time.perf_counter()
        await self._writes.send_to(name, Target("127.0.0.1", port))
        while replay.responded - responded < count:  # noqa: ASYNC110 (an event per write costs too much)
            await asyncio.sleep(_POLL)
        seconds = time.perf_counter() - began
        done = replay.responded - responded
        await self._writes.hold(name)
        await replay.wait_in_flight()
        return done / seconds

    async def bytes_a_write(self) -> int:
        """Return the size of a row's values. A number counts as eight bytes."""
        values = to_row(self._write()).values()
        return sum(len(value) if isinstance(value, str | bytes) else 8 for value in values)

    async def batches(self, name: str, count: int, size: int) -> Batches:
        """Commit ``count`` batches of ``size`` writes, without HTTP.

        As under load, the next batch gathers while the previous one is synced. The journal decides
        which writes share a commit.
        """
        writes = [self._write() for _ in range(count * size)]
        journal = self._journals[name]
        counts = journal.writer.counts
        before = dataclasses.replace(counts)
        began = time.perf_counter()
        retry_after: list[asyncio.Future[None]] = []
        for start in range(0, len(writes), size):
            retry_after.append(self._batch(journal, writes[start : start + size]))
            await asyncio.sleep(0)  # the writer gets this batch now, not with the next one
            if len(retry_after) == 2:
                await retry_after.pop(0)
        await retry_after.pop()
        return Batches(
            commits=counts.commits - before.commits,
            writes=len(writes),
            seconds=time.perf_counter() - began,
            in_commits=counts.transaction_time - before.transaction_time,
            in_sync=counts.commit_time - before.commit_time,
        )

    def _batch(self, journal: Journal, writes: list[AcceptedWrite]) -> asyncio.Future[None]:
        last: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        completed = 0

        def done(error: BaseException | None) -> None:
            nonlocal completed
            completed += 1
            if error is not None and not last.done():
                last.set_exception(error)
            elif completed == len(writes):
                last.set_result(None)

        for write in writes:
            journal.append(write, None, None, done)
        return last

    def _write(self) -> AcceptedWrite:
        self._position += 1
        return AcceptedWrite(
            "shop", self._position, time.time(), "POST", "/a/b?c=1", "shop.example", _HEADERS,
            Body.of(BODY), "10.0.0.1", key='"00000000000000000000000000000000"',
        )  # fmt: skip
