"""The way from this node to the guest of each service."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from oslo_config import cfg

from nova_cachemig.agent import probe
from nova_cachemig.agent.nova import NovaApi
from nova_cachemig.agent.ports import ComponentError
from nova_cachemig.agent.services import files, resolve
from nova_cachemig.agent.services.addresses import AddressBook
from nova_cachemig.agent.services.atomic import ServicesError
from nova_cachemig.doctor.context import Context
from nova_cachemig.doctor.runner import Check
from nova_cachemig.doctor.verdict import Verdict, skipped
from nova_cachemig.doctor.verdicts import guests as verdicts
from nova_cachemig.doctor.verdicts.guests import Guest
from nova_cachemig.model.service import Route, Service, Target

_CONNECT: Final = 1.5
"""Seconds for one connection."""
_LIMIT: Final = 4.0
"""Seconds for all: less than the deadline of a check."""
_PARALLEL: Final = 256


def checks(context: Context) -> Sequence[Check]:
    """A check of the guests of all valid services."""
    conf = context.conf
    assert conf is not None, "a subject of the cache node"
    return [Check("guests.reachable", lambda: _reachable(conf))]


def _reachable(conf: cfg.ConfigOpts) -> list[Verdict]:
    try:
        services, _ = files.check(Path(conf.agent.services_dir))
    except ServicesError as exc:
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
        """Connect to each guest. Those without a result in time have no attempt."""
        tasks = [asyncio.create_task(self._one(service)) for service in services]
        await asyncio.wait(tasks, timeout=_LIMIT)
        found = []
        for service, task in zip(services, tasks, strict=True):
            if task.done():
                found.append(task.result())
            else:
                task.cancel()
                found.append(Guest(service.name, service.instance, None))
        return self._without_equal_addresses(services, found)

    async def _one(self, service: Service) -> Guest:
        async with self._gate:
            address = service.address or self._book.find(service)
            try:
                if address is None:
                    instance = await self._nova.instance(service.instance)
                    address = resolve.address_in(service, instance)
                target = Target(address, service.port)
                attempt = await probe.try_guest(target, timeout=_CONNECT)
            except ComponentError as exc:
                return Guest(service.name, service.instance, None, error=str(exc))
        return Guest(service.name, service.instance, target, attempt)

    def _without_equal_addresses(
        self, services: Sequence[Service], found: list[Guest]
    ) -> list[Guest]:
        """Replace the guests that the agent refuses, because another has their address."""
        routes = {
            service.name: Route(service, guest.target)
            for service, guest in zip(services, found, strict=True)
        }
        refused = resolve.equal_addresses((), routes, self._book.find)
        return [
            dataclasses.replace(guest, attempt=None, error=str(refused[guest.service]))
            if guest.service in refused
            else guest
            for guest in found
        ]
