"""A journal on disk with quarantined writes, made by the journal itself."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from oslo_config import cfg

from nova_cachemig.agent.journal.spool import Spool
from nova_cachemig.agent.journal.store import Journal
from nova_cachemig.model.write import AcceptedWrite, Body, WriteState


async def fill(journal: Journal, bodies: Mapping[str, bytes], threshold: int = 1 << 16) -> None:
    """Put one write in doubt for each name SERVICE/POSITION; large bodies go to the spool."""
    done = asyncio.get_running_loop().create_future()
    left = len(bodies)

    def accepted(error: BaseException | None) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            done.get_loop().call_soon_threadsafe(done.set_result, error)

    for name, data in bodies.items():
        service, _, position = name.partition("/")
        await journal.queue_state(service)
        body = Body.of(data) if len(data) <= threshold else spooled(journal.spool, data)
        write = AcceptedWrite(
            service, int(position), 1.5, "POST", "/orders", "shop.example",
            (("accept", "*/*"),), body, "10.0.0.1",
        )  # fmt: skip
        journal.append(write, None, None, accepted)
    await done
    for name in bodies:
        service, _, position = name.partition("/")
        await journal.quarantine(service, int(position), WriteState.IN_DOUBT, "connection lost")


def spooled(spool: Spool, data: bytes) -> Body:
    """A body in a spool file."""
    file = spool.create()
    file.write(data)
    return file.seal()


def make(conf: cfg.ConfigOpts, bodies: Mapping[str, bytes]) -> None:
    """Make a journal in the state directory of ``conf``, and close it."""

    async def work() -> None:
        journal = Journal(conf)
        await journal.open()
        await fill(journal, bodies)
        await journal.close()

    asyncio.run(work())
