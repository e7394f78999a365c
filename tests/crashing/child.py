"""The process that is killed: a write path that gets its commands through a pipe."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
from multiprocessing.connection import Connection
from typing import Any

from nova_cachemig.agent.journal import database
from nova_cachemig.agent.journal.failpoints import Failpoints
from nova_cachemig.agent.writes import Writes
from nova_cachemig.model.service import Service, Target
from tests.functional.replay.path import conf_for, service


def main(directory: str, pipe: Connection, armed: list[str], options: dict[str, Any]) -> None:
    """Run until killed, or until the command "stop"."""
    logging.basicConfig(stream=sys.stderr, level=logging.ERROR)
    asyncio.run(_run(directory, pipe, armed, options))


def _do_not_sync() -> None:
    """Plant a fault: SQLite does not sync its commits."""
    durable = database._durable_sqlite

    def unsynced(dbapi: Any, record: Any) -> None:
        durable(dbapi, record)
        dbapi.execute("PRAGMA synchronous=OFF")

    database._durable_sqlite = unsynced


async def _run(directory: str, pipe: Connection, armed: list[str], options: dict[str, Any]) -> None:
    facts: Service = service(honours_keys=options.pop("honours_keys"))
    if options.pop("planted") == "unsynced":
        _do_not_sync()
    writes = Writes(conf_for(directory, **options), failpoints=Failpoints(armed))
    await writes.start()
    await writes.open(facts)
    pipe.send(("ready", list(writes.recovered.in_doubt)))
    loop = asyncio.get_running_loop()
    commands: asyncio.Queue[tuple[Any, ...]] = asyncio.Queue()
    loop.add_reader(pipe.fileno(), lambda: commands.put_nowait(pipe.recv()))
    while True:
        command, *rest = await commands.get()
        if command == "send":
            await writes.send_to("shop", Target("127.0.0.1", rest[0]))
        elif command == "hold":
            await writes.hold("shop")
        elif command == "drain":
            await writes.drained("shop")
            pipe.send(("drained", []))
        elif command == "stop":
            with contextlib.suppress(asyncio.CancelledError):
                await writes.stop()
            pipe.send(("stopped", []))
            return
