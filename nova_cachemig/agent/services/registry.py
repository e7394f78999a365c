"""The active services and their guests' addresses, kept up to date with the directory."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from pathlib import Path
from typing import Any

from oslo_log import log

from nova_cachemig.agent.ports import ComponentError, Instances, NovaUnreachableError
from nova_cachemig.agent.services import changes, files, resolve, schema
from nova_cachemig.agent.services.addresses import AddressBook
from nova_cachemig.agent.services.atomic import ServicesError
from nova_cachemig.agent.services.lookup import GuestLookup
from nova_cachemig.agent.services.reach import ReachTable
from nova_cachemig.model.change import InstanceChange
from nova_cachemig.model.service import NO_LIMITS, Limits, Route, Service

LOG = log.getLogger(__name__)

_QUESTIONS = 8
"""Instances, at most, for which Nova is asked at the same time, beside the rounds."""

Apply = Callable[[tuple[Route, ...]], Awaitable[Mapping[str, str]]]
"""Serves just these routes; returns the services that are refused, each with the reason."""


class ServiceRegistry:
    """Holds the routes; passes them to ``apply`` after each change."""

    def __init__(
        self,
        directory: Path,
        nova: Instances,
        apply: Apply,
        address_book: AddressBook,
        address_interval: float = 300.0,
        limits: Limits = NO_LIMITS,
        parsed: Path | None = None,
    ) -> None:
        """``address_book``: addresses from before a restart, in case Nova is unreachable.

        ``parsed``: path of the copy of the parsed files; None: there is none.

        ``address_interval``: seconds between two questions to Nova for the same guest's address.
        ``limits``: of services that have none themselves.
        ``watcher``, an attribute, learns which guests are lost and found after :meth:`load`.
        """
        self._directory = directory
        self.watcher: changes.TargetWatcher | None = None
        self.reach = ReachTable()
        self._lookup = GuestLookup(nova, address_book, address_interval)
        self._apply = apply
        self._limits = limits
        self._fingerprint: files.Fingerprint | None = None
        self._files = files.Cache(parsed)
        self._services: tuple[Service, ...] = ()
        self._routes: dict[str, Route] = {}
        self._names: Mapping[str, list[str]] = {}  # instance → names of its services
        self._published: Mapping[str, Route] = {}  # the routes that the watcher knows
        self._recalled: set[str] = set()  # services whose guest's address Nova has not confirmed
        self._notices: dict[str, int] = {}  # instance → number of Nova's notices of a change
        self._confirming: dict[str, asyncio.Task[None]] = {}
        self._questions = asyncio.Semaphore(_QUESTIONS)
        self._errors: dict[str, str] = {}
        self._refused: Mapping[str, str] = {}
        self._lock = asyncio.Lock()
        self._applying = asyncio.Lock()
        self._applied = True
        self._apply_error = ""
        self.file_errors: list[str] = []

    def routes(self) -> tuple[Route, ...]:
        """Return the routes of all services, also of those without a known guest."""
        return tuple(self._routes.values())

    def routes_for(self, instance: str) -> tuple[Route, ...]:
        """Return the routes of one instance's services with a known guest."""
        return tuple(route for route in self._own(instance).values() if route.target)

    def _own(self, instance: str) -> dict[str, Route]:
        """Return the routes of one instance's services, without a look at all others."""
        return {name: self._routes[name] for name in self._names.get(instance, ())}

    def protected_routes(self, instance: str) -> tuple[Route, ...]:
        """Return the routes of one instance whose guest the agent has reached."""
        return tuple(route for route in self.routes_for(instance) if self.reach.reached(route))

    def route(self, service: str) -> Route | None:
        """Return the route of the service with this name."""
        return self._routes.get(service)

    def why_unprotected(self, instance: str) -> str:
        """Say which services of the instance have a guest that was never reached; empty: none."""
        found = [route for route in self.routes_for(instance) if not self.reach.reached(route)]
        return "; ".join(
            f"service {route.service.name}: {self.reach.unreachable(route) or 'not tried yet'}"
            for route in found
        )

    def unreachable(self) -> list[str]:
        """Return the names of the services whose guest was tried and never reached."""
        return sorted(r.service.name for r in self.routes() if self.reach.unreachable(r))

    async def load(self) -> None:
        """Serve what is on disk: the files, and the guests' last known addresses.

        The next :meth:`refresh` asks Nova. An agent that restarts must not wait for Nova, which may
        be unreachable.
        """
        async with self._lock:
            await self._read(force=False)
            recalled = self._lookup.recall(self._routes)
            self._routes |= recalled
            self._recalled = set(recalled)
            self._published = dict(self._routes)
            await self._apply_routes()

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
            changed = await self._read(force) and not await self._publish_known()
            await self._forget_moved_guests()
            await self._look_up_guests()
            self._lookup.keep(self._routes)
            await self._publish(force=changed or not self._applied)
            applying = [self._apply_error] if self._apply_error else []
            own = [*self._errors.values(), *self._refused.values()]
            return [*self.file_errors, *own, *applying]

    async def _publish_known(self) -> bool:
        """Put a change of the files in force before Nova is asked, which may be slow or down.

        Return False, and do nothing, if there is nothing but new services whose guests are unknown,
        or if a guest that is served would be without an address meanwhile. Only served guests are
        recalled: Nova may have denied the address of another.
        """
        before, now = self._published, self._routes
        left = {
            name: route
            for name, route in now.items()
            if route.target is None and name in before and before[name].target
        }
        recalled = self._lookup.recall(left, [route for route in now.values() if route.target])
        if left.keys() != recalled.keys():
            return False
        now |= recalled
        self._recalled |= recalled.keys()
        if before == {name: r for name, r in now.items() if r.target or name in before}:
            return False
        await self._publish(force=True)
        return True

    async def instance_changed(self, instance: str, change: InstanceChange) -> None:
        """Nova has changed the instance: look its addresses up again, first now.

        If it may have lost them, nothing is sent to its guests until Nova has confirmed them.
        """
        own = self._own(instance)
        if not own:
            return
        self._notices[instance] = self._notices.get(instance, 0) + 1
        deleted = change is InstanceChange.DELETED
        if deleted:
            self._lookup.doubt(own)
        if change is not InstanceChange.CHANGED:
            lost = [name for name, r in own.items() if deleted or r.service.address is None]
            self._forget(lost)
            for name in lost:
                self._report(name, changes.DoubtError(instance))
            await self._publish()
        self.confirm(instance)

    def confirm(self, instance: str) -> asyncio.Task[None]:
        """Ask Nova now whether the guests of this instance have their addresses.

        If Nova does not respond, an address that it had confirmed stays. The task never raises.
        """
        task = self._confirming.get(instance)
        if task is None:
            task = asyncio.create_task(self._confirm(instance), name=f"confirm {instance}")
            self._confirming[instance] = task
            task.add_done_callback(lambda _task: self._confirming.pop(instance, None))
        return task

    async def _confirm(self, instance: str) -> None:
        notices = -1
        while notices != self._notices.get(instance, 0):
            notices = self._notices.get(instance, 0)
            try:
                async with self._questions:
                    await self._ask_for(instance)
            except Exception:
                LOG.exception("instance %s: its addresses are not confirmed", instance)

    async def _ask_for(self, instance: str) -> None:
        notices = self._notices.get(instance, 0)
        try:
            found = await self._lookup.check(instance, self._own(instance), self._routes)
        except NovaUnreachableError as exc:
            LOG.warning("instance %s: its addresses are not confirmed: %s", instance, exc)
            return
        if notices != self._notices.get(instance, 0):
            return  # Nova's response may be older than its last notice
        for name, route in found.items():
            present = self._routes.get(name)
            if present is not None and present.service == route.service:
                self._routes[name] = route
                self._recalled.discard(name)
                if route.target is not None:
                    self._errors.pop(name, None)
        if found:
            self._lookup.save(self.routes())
            await self._publish()

    async def _publish(self, *, force: bool = False) -> None:
        """Serve the present routes if they, or anything else (``force``), have changed."""
        before, now = self._published, dict(self._routes)
        self._published = now
        lost, found = changes.lost(before, now), changes.found(before, now)
        for route in lost:
            if changes.is_other_port(route, now[route.service.name]):
                self.reach.forget(route)
        watcher = self.watcher
        if watcher is not None and lost:
            watcher.targets_lost(lost)
        if watcher is not None and found:
            await watcher.prepare(found)
        if force or lost or found:
            await self._apply_routes()
        if watcher is not None and found:
            watcher.targets_found(found)

    async def _apply_routes(self) -> None:
        async with self._applying:
            await self._apply_now()

    async def _apply_now(self) -> None:
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
            services = tuple(await asyncio.to_thread(files.read, self._directory, self._files))
            self.file_errors = []
        except ServicesError as exc:
            self._report_files(exc.errors)
            if self._services:
                return False
            # After a restart, a mistake in one file must not end the services of the others.
            services = await self._valid_services()
        if services == self._services:
            return False
        LOG.info("services: %d active", len(services))
        await asyncio.to_thread(self._files.save)
        before = {r.service.name: r for r in self._routes.values()}
        self._services = services
        self._errors = {}
        self._routes = {s.name: changes.updated(s, before.get(s.name)) for s in services}
        names: dict[str, list[str]] = {}
        for service in services:
            names.setdefault(service.instance, []).append(service.name)
        self._names = names
        self._notices = {i: number for i, number in self._notices.items() if i in names}
        return True

    def _report_files(self, errors: list[str]) -> None:
        kept = "the active services stay" if self._services else "the other files are used"
        if errors != self.file_errors:
            for error in errors:
                LOG.error("services: %s; %s", error, kept)
        self.file_errors = errors

    async def _valid_services(self) -> tuple[Service, ...]:
        try:
            return tuple(await asyncio.to_thread(files.read_valid, self._directory, self._files))
        except ServicesError:
            return ()

    def _check_directory(self) -> None:
        """Accept a missing directory as empty, unless services would lose their front address."""
        if self._directory.exists():
            return
        if self._services:
            raise ServicesError([f"{self._directory} no longer exists"])
        LOG.warning(
            "services: %s does not exist, so there are no services; "
            "'nova-cachemig-manage service add' creates it",
            self._directory,
        )

    async def _forget_moved_guests(self) -> None:
        """Drop addresses that are no longer the guest's: another guest may have them by now."""
        self._forget(await self._lookup.moved(self._routes, asyncio.get_running_loop().time()))

    def _forget(self, names: Collection[str]) -> None:
        """Drop the addresses of these services' guests, also on disk."""
        if names:
            self._routes |= {name: Route(self._routes[name].service, None) for name in names}
            self._recalled -= set(names)
            self._lookup.save(self.routes())

    async def _look_up_guests(self) -> None:
        """Look up the guests that are unknown or only recalled: all, or as many as time allows."""
        asked = {
            name: Route(route.service, None) if name in self._recalled else route
            for name, route in self._routes.items()
        }
        notices = dict(self._notices)
        found, errors = await self._lookup.find(asked)
        for name, error in errors.items():
            self._report(name, error)
        for name, route in asked.items():
            instance = route.service.instance
            if notices.get(instance, 0) != self._notices.get(instance, 0):
                continue  # what Nova has said may be older than its notice
            if name in self._lookup.unasked:
                continue
            if name in found:
                self._errors.pop(name, None)
                self._routes[name] = found[name]
            elif name in self._recalled:
                self._routes[name] = route
        self._recalled &= self._lookup.unasked
        if found:
            self._lookup.save(self.routes())

    def _report(self, name: str, exc: ComponentError) -> None:
        if self._errors.get(name) != str(exc):
            LOG.error("service %s: %s", name, exc)
        self._errors[name] = str(exc)

    def _error(self, route: Route) -> str | None:
        name = route.service.name
        return self._errors.get(name) or self._refused.get(name) or self.reach.unreachable(route)

    def describe(self, phase: Callable[[str], str]) -> list[dict[str, Any]]:
        """Return primitives for RPC and the command line; ``phase`` returns a service's phase."""
        return [
            {
                **schema.to_entry(route.service),
                "hosts": list(route.service.hosts),
                "limits": route.service.limits.over(self._limits).by_name(),
                "address": route.target.address if route.target else None,
                "address_from": resolve.way(route.service),
                "phase": phase(route.service.name),
                "reached": self.reach.describe(route),
                "error": self._error(route),
            }
            for route in self._routes.values()
        ]
