"""The last known addresses of the guests, on disk for a restart while Nova is unreachable."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from oslo_log import log

from nova_cachemig.agent.services import resolve
from nova_cachemig.agent.services.atomic import ServicesError, write_text
from nova_cachemig.model.service import Route, Service

LOG = log.getLogger(__name__)

_Stamp = tuple[int, int, int]


class AddressBook:
    """One small file. A damaged file counts as empty, because Nova has the addresses too."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._book: dict[str, object] = {}
        self._stamp: _Stamp | None = None  # inode, size, time (ns) of the file in ``_book``
        self._fixed = False

    @contextlib.contextmanager
    def fixed(self) -> Iterator[None]:
        """Look at the file once, for many questions in a row."""
        self._read()
        self._fixed = True
        try:
            yield
        finally:
            self._fixed = False

    def find(self, service: Service) -> str | None:
        """Return the last known address of the service's guest; None if there is none."""
        entry = self._entry(service)
        way = resolve.way(service)
        if entry.get("way", way) != way:  # an earlier version did not note the way
            return None
        address = entry.get("address")
        return address if isinstance(address, str) else None

    def mac(self, service: Service) -> str:
        """Return the MAC address that belongs to :meth:`find`; empty if it is not known."""
        mac = self._entry(service).get("mac")
        return mac if isinstance(mac, str) else ""

    def in_doubt(self, service: Service) -> bool:
        """Whether Nova has to confirm even an address that the operator has given."""
        return self._entry(service).get("in_doubt") is True

    def save(self, routes: Iterable[Route], in_doubt: Collection[str] = ()) -> None:
        """Replace the file with the addresses of these routes.

        ``in_doubt``: names of services of which Nova must confirm even a given address.
        """
        book: dict[str, object] = {}
        for route in routes:
            name, instance = route.service.name, route.service.instance
            if route.target is not None:
                book[name] = {
                    "instance": instance,
                    "address": route.target.address,
                    "mac": route.mac,
                    "way": resolve.way(route.service),
                }
            elif name in in_doubt:
                book[name] = {"instance": instance, "in_doubt": True}
        try:
            write_text(self._path, json.dumps(book))
        except ServicesError as exc:
            LOG.error("the guests' addresses were not saved: %s", exc)

    def _entry(self, service: Service) -> dict[str, object]:
        entry = self._read().get(service.name)
        if not isinstance(entry, dict) or entry.get("instance") != service.instance:
            return {}
        return entry

    def _read(self) -> dict[str, object]:
        """Return the file's content; it is parsed once after each change."""
        if self._fixed:
            return self._book
        try:
            status = self._path.stat()
            stamp = (status.st_ino, status.st_size, status.st_mtime_ns)
            if stamp != self._stamp:
                book = json.loads(self._path.read_text("utf-8"))
                self._book = book if isinstance(book, dict) else {}
                self._stamp = stamp
        except FileNotFoundError:
            self._book, self._stamp = {}, None
        except (OSError, ValueError) as exc:
            LOG.error("the guests' addresses in %s cannot be read: %s", self._path, exc)
            self._book, self._stamp = {}, None
        return self._book
