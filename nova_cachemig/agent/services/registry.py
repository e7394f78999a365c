"""The active services and their guests' addresses, kept up to date with the directory."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from oslo_log import log

from nova_cachemig.agent.ports import ComponentError, Instances, NovaUnreachableError
from nova_cachemig.agent.services import files, schema
from nova_cachemig.agent.services.addresses import AddressBook
from nova_cachemig.model.service import Route, Service, Target

LOG = log.getLogger(__name__)


Apply = Callable[[tuple[Route, ...]], Awaitable[Mapping[str, str]]]
"""Serves just these routes; returns the services that are refused, each with the reason."""


class ServiceRegistry:
    """Holds the routes; passes them to ``apply`` after each change."""

    def __init__(
        self, directory: Path, nova: Instances, apply: Apply, address_book: AddressBook
    ) -> None:
        """``address_book``: addresses from before a restart, in case Nova is unreachable."""
        self._directory = directory
        self._address_book = address_book
        self._nova = nova
        self._apply = apply
        self._fingerprint: files.Fingerprint | None = None
        self._services: tuple[Service, ...] = ()
        self._routes: dict[str, Route] = {}
        self._errors: dict[str, str] = {}
        self._round = 0  # number of the last look-up of guests
        self._failed_in: dict[str, int] = {}  # service → the round in which Nova did not respond
        self._refused: Mapping[str, str] = {}
        self._lock = asyncio.Lock()
        self._applied = True
        self._apply_error = ""
        self.file_errors: list[str] = []

    def routes(self) -> tuple[Route, ...]:
        """Return the routes of all services, also of those without a known guest."""
        return tuple(self._routes.values())

    def routes_for(self, instance: str) -> tuple[Route, ...]:
        """Return the routes of one instance's services with a known guest."""
        return tuple(
            r for r in self._routes.values() if r.service.instance == instance and r.target
        )

    async def watch(self, interval: float) -> None:
        """Refresh every ``interval`` seconds until cancelled."""
        while True:
            await self.refresh()
            await asyncio.sleep(interval)

    async def refresh(self, *, force: bool = False) -> list[str]:
        """Read the files if they changed, look up unknown guests in Nova, and return the errors.

        ``force`` reads the files also if they did not change.
        """
        async with self._lock:
            changed = await self._read(force)
            found = await self._look_up_guests()
            if changed or found or not self._applied:
                await self._apply_routes()
            applying = [self._apply_error] if self._apply_error else []
            own = [*self._errors.values(), *self._refused.values()]
            return [*self.file_errors, *own, *applying]

    async def _apply_routes(self) -> None:
        try:
            refused = await self._apply(self.routes())
        except ComponentError as exc:
            self._applied = False  # try again at the next refresh
            if str(exc) != self._apply_error:
                LOG.error("the services could not be applied: %s", exc)
            self._apply_error = str(exc)
        else:
            # A refused service is tried again: the address that it needs may become free.
            self._applied, self._apply_error = not refused, ""
            for name, reason in refused.items():
                if self._refused.get(name) != reason:
                    LOG.error("not applied: %s", reason)
            self._refused = refused

    async def _read(self, force: bool) -> bool:
        try:
            fingerprint = await asyncio.to_thread(files.fingerprint, self._directory)
            if fingerprint == self._fingerprint and not force:
                return False
            self._fingerprint = fingerprint
            await asyncio.to_thread(self._check_directory)
            services = tuple(await asyncio.to_thread(files.read, self._directory))
        except files.ServicesError as exc:
            if exc.errors != self.file_errors:
                for error in exc.errors:
                    LOG.error("services: %s; the active services stay", error)
            self.file_errors = exc.errors
            return False
        self.file_errors = []
        if services == self._services:
            return False
        LOG.info("services: %d active", len(services))
        before = {r.service.name: r for r in self._routes.values()}
        self._services = services
        self._errors = {}
        self._routes = {s.name: self._updated_route(s, before.get(s.name)) for s in services}
        return True

    def _check_directory(self) -> None:
        """Accept a missing directory as empty, unless services would lose their front address."""
        if self._directory.exists():
            return
        if self._services:
            raise files.ServicesError([f"{self._directory} no longer exists"])
        LOG.warning(
            "services: %s does not exist, so there are no services; "
            "'nova-cachemig-manage service add' creates it",
            self._directory,
        )

    @staticmethod
    def _updated_route(service: Service, before: Route | None) -> Route:
        """Keep the known address unless the instance or the network changed."""
        if before is None or before.target is None:
            return Route(service, None)
        same = (before.service.instance, before.service.network) == (
            service.instance,
            service.network,
        )
        return Route(service, Target(before.target.address, service.port) if same else None)

    def _unknown_guests(self) -> list[tuple[str, Route]]:
        """Services without a known guest; those for which Nova did not respond come last."""
        unknown = [(name, route) for name, route in self._routes.items() if route.target is None]
        self._failed_in = {n: self._failed_in[n] for n, _ in unknown if n in self._failed_in}
        return sorted(unknown, key=lambda item: self._failed_in.get(item[0], 0))

    async def _look_up_guests(self) -> bool:
        """Ask Nova for each unknown guest, until Nova does not respond; whether one was found.

        A question without a response takes up to half a minute, which would add up. The next round
        begins with the services that this one did not ask for.
        """
        found = False
        unreachable = ""
        self._round += 1
        for name, route in self._unknown_guests():
            service = route.service
            try:
                if unreachable:
                    raise NovaUnreachableError(unreachable)
                instance = await self._nova.instance(service.instance)
                target = Target(instance.address(service.network), service.port)
            except NovaUnreachableError as exc:
                if not unreachable:
                    unreachable, self._failed_in[name] = str(exc), self._round
                address = self._address_book.find(service)
                if address is None:
                    self._report(name, exc)
                    continue
                LOG.warning(
                    "service %s: %s; using the guest's last known address, %s", name, exc, address
                )
                target = Target(address, service.port)
            except ComponentError as exc:
                self._report(name, exc)
                continue
            self._errors.pop(name, None)
            self._routes[name] = Route(service, target)
            found = True
        if found:
            self._address_book.save(self.routes())
        return found

    def _report(self, name: str, exc: ComponentError) -> None:
        if self._errors.get(name) != str(exc):
            LOG.error("service %s: %s", name, exc)
        self._errors[name] = str(exc)

    def _error(self, name: str) -> str | None:
        return self._errors.get(name) or self._refused.get(name)

    def describe(self, phase: Callable[[str], str]) -> list[dict[str, Any]]:
        """Return primitives for RPC and the command line; ``phase`` returns a service's phase."""
        return [
            {
                **schema.to_entry(route.service),
                "hosts": list(route.service.hosts),
                "address": route.target.address if route.target else None,
                "phase": phase(route.service.name),
                "error": self._error(route.service.name),
            }
            for route in self._routes.values()
        ]
