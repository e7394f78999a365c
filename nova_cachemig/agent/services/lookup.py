"""Looks up the guests' addresses: in the services, in Nova, or in the address book."""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Callable, Iterable, Mapping

from oslo_log import log

from nova_cachemig.agent.ports import (
    ComponentError,
    GoneError,
    InstanceAddresses,
    Instances,
    NovaUnreachableError,
)
from nova_cachemig.agent.services import resolve
from nova_cachemig.agent.services.addresses import AddressBook
from nova_cachemig.agent.services.pages import FEW, InstancePages
from nova_cachemig.model.service import Route, Service, Target

LOG = log.getLogger(__name__)

_ROUND = 5.0
"""Seconds after which a round asks no further question: a change of the files waits for it."""

_RECHECKS = 5
"""Known guests, at most, for which one round asks Nova again, one by one."""


class GuestLookup:
    """Finds the guest of each service. Asks Nova one question at a time.

    For many instances, it asks Nova for pages of all, and for one alone only if no page shows it.
    """

    def __init__(
        self,
        nova: Instances,
        address_book: AddressBook,
        interval: float = 300.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``interval``: seconds between two questions for the address of a known guest."""
        self._clock = clock
        self._pages = InstancePages(nova, clock)
        self.unasked: set[str] = set()  # services for which the last round did not ask Nova
        self._interval = interval
        self._asked: dict[str, float] = {}  # service → when Nova was last asked to confirm
        self._nova = nova
        self._address_book = address_book
        self._round = 0  # number of the last look-up
        self._failed_in: dict[str, int] = {}  # service → the last round that asked Nova in vain
        self._unreachable = ""  # why Nova does not respond, in this round
        self._in_doubt: set[str] = set()  # services with a given address that Nova must confirm

    async def moved(self, routes: Mapping[str, Route], now: float) -> list[str]:
        """Return services whose guest no longer has its address in Nova. ``now``: seconds.

        Asks for a few of the guests that were not asked for in the last ``interval`` seconds.
        Without a response nothing changes: Nova may be down, or not show the instance to the agent.
        """
        asked = {name: self._asked.get(name, now) for name, r in routes.items() if _from_nova(r)}
        self._asked = asked
        due = sorted((at, name) for name, at in asked.items() if at + self._interval <= now)
        moved = []
        if len(due) > FEW:
            try:
                shown = await self._pages.turn()
            except NovaUnreachableError as exc:
                LOG.debug("the addresses are not confirmed: %s", exc)
                self._asked = dict.fromkeys(asked, now)
                return []
            for name in asked:
                found = shown.get(routes[name].service.instance)
                if found is None:
                    continue
                asked[name] = now
                if resolve.contradicts(routes[name], found):
                    _warn_of_move(routes[name])
                    moved.append(name)
            due = [(at, name) for at, name in due if asked[name] == at]
        for _, name in due[:_RECHECKS]:
            asked[name] = now
            route = routes[name]
            assert route.target is not None, "only known guests are asked for"
            try:
                instance = await self._nova.instance(route.service.instance)
            except NovaUnreachableError as exc:
                LOG.debug("service %s: its address is not confirmed: %s", name, exc)
                self._asked = dict.fromkeys(asked, now)  # the others would wait as long
                break
            except GoneError as exc:
                LOG.warning("service %s: nothing is sent to its guest: %s", name, exc)
                moved.append(name)
                continue
            except ComponentError as exc:  # Nova has never shown the instance to this account
                LOG.warning("service %s: its address is not confirmed: %s", name, exc)
                continue
            if resolve.contradicts(route, instance):
                _warn_of_move(route)
                moved.append(name)
        return moved

    def doubt(self, services: Iterable[str]) -> None:
        """Take not even a given address of these services before Nova has confirmed it."""
        self._in_doubt.update(services)

    def keep(self, routes: Mapping[str, Route]) -> None:
        """Forget all that concerns other services and instances."""
        self._in_doubt.intersection_update(routes)
        self._nova.keep({route.service.instance for route in routes.values()})

    def save(self, routes: Iterable[Route]) -> None:
        """Write the addresses and the doubts into the address book."""
        self._address_book.save(routes, self._in_doubt)

    async def check(
        self, instance: str, own: Mapping[str, Route], routes: Mapping[str, Route]
    ) -> dict[str, Route]:
        """Ask Nova about one instance now; return its routes that Nova says are others.

        ``own``: the instance's routes, of all ``routes``. Raises NovaUnreachableError: nothing is
        known then, and nothing changes.
        """
        try:
            shown = await self._nova.instance(instance)
        except NovaUnreachableError:
            raise
        except ComponentError as exc:
            # Nova has shown the instance to an agent, unless the operator has given the address.
            gone = isinstance(exc, GoneError)
            lost = [name for name, r in own.items() if r.target and (gone or _from_nova(r))]
            if lost:
                LOG.warning("instance %s: nothing is sent to its guest: %s", instance, exc)
                self.doubt(lost)
            return {name: Route(own[name].service, None) for name in lost}
        changed = {name: new for name, r in own.items() if (new := _checked(r, shown)) != r}
        found = {name: route for name, route in changed.items() if route.target is not None}
        addresses = {route.target.address for route in found.values() if route.target}
        known_others = [
            route
            for name, route in routes.items()
            if route.target and route.target.address in addresses and name not in changed
        ]
        for name in resolve.equal_addresses(known_others, found, self._address_book.find):
            changed[name] = Route(changed[name].service, None)
        self._in_doubt.difference_update(n for n, route in changed.items() if route.target)
        return changed

    def recall(self, routes: Mapping[str, Route], known: Iterable[Route] = ()) -> dict[str, Route]:
        """Return the routes with the guests that are known without Nova.

        ``known``: routes that are served already.
        """
        with self._address_book.fixed():
            return self._recall(routes, known)

    def _recall(self, routes: Mapping[str, Route], known: Iterable[Route]) -> dict[str, Route]:
        found: dict[str, Route] = {}
        for name, route in routes.items():
            service = route.service
            if self._address_book.in_doubt(service):
                self._in_doubt.add(name)
                continue
            address = service.address or self._address_book.find(service)
            if address is not None:
                mac = self._address_book.mac(service)
                found[name] = Route(service, Target(address, service.port), mac)
        for name in resolve.equal_addresses(known, found, self._address_book.find):
            del found[name]
        return found

    async def find(
        self, routes: Mapping[str, Route]
    ) -> tuple[dict[str, Route], dict[str, ComponentError]]:
        """Return the routes whose guest was unknown and is found, and the errors of the others.

        A question without a response takes up to half a minute, which would add up. So no further
        one is asked in this round, nor after :data:`_ROUND` seconds. The next round begins with the
        services that this one did not ask for (``unasked``).
        """
        found: dict[str, Route] = {}
        errors: dict[str, ComponentError] = {}
        self._round += 1
        self._unreachable = ""
        self.unasked = set()
        end = self._clock() + _ROUND
        unknown = self._unknown(routes.values())
        shown = await self._shown(unknown, end)
        recalled = 0
        # Without Nova nothing suspends this loop, so the address book stays as it is.
        with self._address_book.fixed() if self._unreachable else contextlib.nullcontext():
            for service in unknown:
                name, instance = service.name, shown.get(service.instance)
                by_nova = self._needs_nova(service)
                if by_nova and instance is None and not self._unreachable and self._clock() >= end:
                    self.unasked.add(name)
                    continue
                try:
                    found[name] = await self._ask(service, instance)
                    recalled += by_nova and bool(self._unreachable) and instance is None
                except ComponentError as exc:
                    errors[name] = exc
                    if not self._unreachable:
                        self._failed_in[name] = self._round
        if recalled:
            why = "%s; using the last known addresses of %d guests"
            LOG.warning(why, self._unreachable, recalled)
        known = [route for route in routes.values() if route.target is not None]
        refused = resolve.equal_addresses(known, found, self._address_book.find)
        for name in refused:
            del found[name]
        self._in_doubt.difference_update(found)
        return found, {**errors, **refused}

    def _needs_nova(self, service: Service) -> bool:
        return service.address is None or service.name in self._in_doubt

    async def _shown(
        self, unknown: Iterable[Service], end: float
    ) -> Mapping[str, InstanceAddresses]:
        """Return these services' instances from Nova's pages, if they are many."""
        wanted = {service.instance for service in unknown if self._needs_nova(service)}
        if len(wanted) <= FEW:
            return {}
        try:
            return await self._pages.find(wanted, end)
        except NovaUnreachableError as exc:
            self._unreachable = str(exc)
            return {}

    def _unknown(self, routes: Iterable[Route]) -> list[Service]:
        """Services without a known guest; those that Nova was asked for in vain come last."""
        unknown = [route.service for route in routes if route.target is None]
        names = [service.name for service in unknown]
        self._failed_in = {n: self._failed_in[n] for n in names if n in self._failed_in}
        return sorted(unknown, key=lambda service: self._failed_in.get(service.name, 0))

    async def _ask(self, service: Service, shown: InstanceAddresses | None) -> Route:
        """Return the way to the guest. ``shown``: from a page of Nova. Raises ComponentError."""
        if service.address is not None and service.name not in self._in_doubt:
            return Route(service, Target(service.address, service.port))
        if shown is not None:
            return _route_in(service, shown)
        try:
            if self._unreachable:
                raise NovaUnreachableError(self._unreachable)
            return _route_in(service, await self._nova.instance(service.instance))
        except NovaUnreachableError as exc:
            if not self._unreachable:
                self._unreachable, self._failed_in[service.name] = str(exc), self._round
            address = self._address_book.find(service)
            if address is None:
                raise
            mac = self._address_book.mac(service)
            return Route(service, Target(address, service.port), mac)


def _route_in(service: Service, instance: InstanceAddresses) -> Route:
    """Return the way to the guest of an instance that Nova shows. Raises ComponentError."""
    address = service.address or resolve.address_in(service, instance)
    return Route(service, Target(address, service.port), instance.mac_of(address))


def _checked(route: Route, instance: InstanceAddresses) -> Route:
    """Return the route as it is after Nova has shown the instance."""
    if route.target is not None and not resolve.contradicts(route, instance):
        return dataclasses.replace(route, mac=instance.mac_of(route.target.address) or route.mac)
    if route.target is not None:
        _warn_of_move(route)
    try:
        return _route_in(route.service, instance)
    except ComponentError as exc:
        LOG.warning("service %s: %s", route.service.name, exc)
        return Route(route.service, None)


def _warn_of_move(route: Route) -> None:
    assert route.target is not None, "only known guests are asked for"
    LOG.warning(
        "service %s: instance %s no longer has the address %s, or has it on another port",
        route.service.name,
        route.service.instance,
        route.target.address,
    )


def _from_nova(route: Route) -> bool:
    return route.target is not None and route.service.address is None
