"""The process that is killed: a write path, or a whole agent, with commands from a pipe."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import logging
import sys
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Protocol

from oslo_config import cfg

from nova_cachemig.agent.journal.failpoints import Failpoints
from nova_cachemig.agent.writes import Writes
from nova_cachemig.model.service import Target
from tests.crashing.observer import observe
from tests.crashing.planted import PLANTED
from tests.crashing.whole import Where, Whole
from tests.functional.replay.path import conf_for, service


@dataclasses.dataclass(frozen=True)
class Options:
    """The options that the processes of a run have in common."""

    directory: str
    notes: str
    journal: dict[str, Any]  # options of [journal]
    honours_keys: bool
    planted: str | None = None
    where: Where | None = None  # of a run with an edge


class Served(Protocol):
    """The part of the agent that the process runs."""

    writes: Writes

    async def start(self) -> None:
        """Start, behind ``writes.open_journal``."""

    async def stop(self) -> None:
        """Stop in good order."""

    async def do(self, command: str, rest: list[Any]) -> None:
        """Carry out a command."""


class Alone:
    """The write path alone."""

    def __init__(self, conf: cfg.ConfigOpts, failpoints: Failpoints, *, honours_keys: bool) -> None:
        self._service = service(honours_keys=honours_keys)
        self.writes = Writes(conf, failpoints=failpoints)

    async def start(self) -> None:
        """Listen, and accept writes."""
        await self.writes.listen()
        await self.writes.open(self._service)

    async def stop(self) -> None:
        """Stop in good order."""
        with contextlib.suppress(asyncio.CancelledError):
            await self.writes.stop()

    async def do(self, command: str, rest: list[Any]) -> None:
        """Do what a handover does."""
        if command == "send":
            await self.writes.send_to("shop", Target("127.0.0.1", rest[0]))
        elif command == "hold":
            await self.writes.hold("shop")
        elif command == "idle":
            await self.writes.drained("shop")
        else:
            raise ValueError(command)


def main(options: Options, pipe: Connection, armed: list[str]) -> None:
    """Run until killed, or until the command "stop"."""
    logging.basicConfig(stream=sys.stderr, level=logging.ERROR)
    plant = PLANTED[options.planted] if options.planted else None
    with plant.patch() if plant else contextlib.nullcontext():
        asyncio.run(_run(options, pipe, armed, plant.options if plant else {}))


async def _run(
    options: Options, pipe: Connection, armed: list[str], planted: dict[str, Any]
) -> None:
    conf, failpoints = conf_for(options.directory, **options.journal | planted), Failpoints(armed)
    keys = options.honours_keys
    served: Served
    if options.where is None:
        served = Alone(conf, failpoints, honours_keys=keys)
    else:
        served = Whole(conf, options.where, failpoints, honours_keys=keys)
    observe(served.writes.journal, Path(options.notes))
    await served.writes.open_journal()
    await served.start()
    pipe.send("ready")
    loop = asyncio.get_running_loop()
    commands: asyncio.Queue[tuple[Any, ...]] = asyncio.Queue()
    loop.add_reader(pipe.fileno(), lambda: commands.put_nowait(pipe.recv()))
    while True:
        command, *rest = await commands.get()
        if command == "stop":
            await served.stop()
            pipe.send("stop")
            return
        await served.do(command, rest)
        if command == "idle":
            pipe.send("idle")
