"""The last known addresses of the guests, on disk for a restart while Nova is unreachable."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from oslo_log import log

from nova_cachemig.agent.services import resolve
from nova_cachemig.agent.services.files import ServicesError, write_text
from nova_cachemig.model.service import Route, Service

LOG = log.getLogger(__name__)


class AddressBook:
    """One small file. A damaged file counts as empty, because Nova has the addresses too."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def find(self, service: Service) -> str | None:
        """Return the last known address of the service's guest; None if there is none."""
        entry = self._read().get(service.name)
        if not isinstance(entry, dict) or entry.get("instance") != service.instance:
            return None
        way = resolve.way(service)
        if entry.get("way", way) != way:  # an earlier version did not note the way
            return None
        address = entry.get("address")
        return address if isinstance(address, str) else None

    def save(self, routes: Iterable[Route]) -> None:
        """Replace the file with the addresses of these routes."""
        book = {
            route.service.name: {
                "instance": route.service.instance,
                "address": route.target.address,
                "way": resolve.way(route.service),
            }
            for route in routes
            if route.target is not None
        }
        try:
            write_text(self._path, json.dumps(book))
        except ServicesError as exc:
            LOG.error("the guests' addresses were not saved: %s", exc)

    def _read(self) -> dict[str, object]:
        try:
            book = json.loads(self._path.read_text("utf-8"))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as exc:
            LOG.error("the guests' addresses in %s cannot be read: %s", self._path, exc)
            return {}
        return book if isinstance(book, dict) else {}
