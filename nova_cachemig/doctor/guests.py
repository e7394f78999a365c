"""The way from this node to the guest of each service."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from oslo_config import cfg

from nova_cachemig.agent.nova import NovaApi
from nova_cachemig.agent.ports import ComponentError
from nova_cachemig.agent.services import files, resolve
from nova_cachemig.agent.services.addresses import AddressBook
from nova_cachemig.doctor.context import Context
from nova_cachemig.doctor.runner import Check
from nova_cachemig.doctor.verdict import Verdict, skipped
from nova_cachemig.doctor.verdicts import guests as verdicts
from nova_cachemig.doctor.verdicts.guests import Guest, Outcome
from nova_cachemig.model.service import Service

_CONNECT: Final = 1.5
"""Seconds for one connection."""
_LIMIT: Final = 4.0
"""Seconds for all: less than the deadline of a check."""
_PARALLEL: Final = 256
_OUTCOMES: Final = {
    errno.ECONNREFUSED: Outcome.REFUSED,
    errno.ENETUNREACH: Outcome.NO_ROUTE,
    errno.EHOSTUNREACH: Outcome.NO_NEIGHBOUR,
    errno.ETIMEDOUT: Outcome.SILENT,
}


def checks(context: Context) -> Sequence[Check]:
    """A check of the guests of all valid services."""
    conf = context.conf
    assert conf is not None, "a subject of the cache node"
    return [Check("guests.reachable", lambda: _reachable(conf))]


def _reachable(conf: cfg.ConfigOpts) -> list[Verdict]:
    try:
        services, _ = files.check(Path(conf.agent.services_dir))
    except files.ServicesError as exc:
        return [skipped(str(exc))]
    if not services:
        return [skipped("no service is defined")]
    return verdicts.guests(asyncio.run(_Guests(conf).ask(services)))


class _Guests:
    def __init__(self, conf: cfg.ConfigOpts) -> None:
        self._book = AddressBook(Path(conf.agent.state_dir) / "addresses.json")
        self._nova = NovaApi(conf)
        self._gate = asyncio.Semaphore(_PARALLEL)

    async def ask(self, services: Sequence[Service]) -> list[Guest]:
        """Connect to each guest; those without a result in time are NOT_TRIED."""
        tasks = [asyncio.create_task(self._one(service)) for service in services]
        await asyncio.wait(tasks, timeout=_LIMIT)
        found = []
        for service, task in zip(services, tasks, strict=True):
            if task.done():
                found.append(task.result())
            else:
                task.cancel()
                found.append(Guest(service.name, service.instance, "", Outcome.NOT_TRIED))
        return found

    async def _one(self, service: Service) -> Guest:
        async with self._gate:
            address = service.address or self._book.find(service)
            try:
                if address is None:
                    instance = await self._nova.instance(service.instance)
                    address = resolve.address_in(service, instance)
            except ComponentError as exc:
                return Guest(service.name, service.instance, "", Outcome.NO_ADDRESS, str(exc))
            outcome, detail = await connect(address, service.port)
        target = f"[{address}]:{service.port}" if ":" in address else f"{address}:{service.port}"
        return Guest(service.name, service.instance, target, outcome, detail)


async def connect(address: str, port: int) -> tuple[Outcome, str]:
    """Connect once; the outcome, and the error if it is not one of the known ones."""
    try:
        async with asyncio.timeout(_CONNECT):
            _, writer = await asyncio.open_connection(address, port)
    except TimeoutError:
        return Outcome.SILENT, ""
    except OSError as exc:
        outcome = _OUTCOMES.get(exc.errno or 0, Outcome.OTHER)
        return outcome, str(exc) if outcome is Outcome.OTHER else ""
    writer.transport.abort()
    return Outcome.REACHABLE, ""
