"""The guests' addresses as Nova told them last, on disk for a restart while Nova is away."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from oslo_log import log

from nova_cachemig.agent.services.files import ServicesError, write_text
from nova_cachemig.model.service import Route, Service

LOG = log.getLogger(__name__)


class AddressBook:
    """One small file. A damaged one is as none: Nova is asked anyway."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def find(self, service: Service) -> str | None:
        """The last known address of the service's guest."""
        known = self._read().get(service.name)
        if not isinstance(known, dict) or known.get("instance") != service.instance:
            return None
        address = known.get("address")
        return address if isinstance(address, str) else None

    def keep(self, routes: Iterable[Route]) -> None:
        """Remember the addresses of these and no others."""
        book = {
            route.service.name: {
                "instance": route.service.instance,
                "address": route.target.address,
            }
            for route in routes
            if route.target is not None
        }
        try:
            write_text(self._path, json.dumps(book))
        except ServicesError as exc:
            LOG.error("the guests' addresses: %s", exc)

    def _read(self) -> dict[str, object]:
        try:
            book = json.loads(self._path.read_text("utf-8"))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as exc:
            LOG.error("the guests' addresses in %s cannot be read: %s", self._path, exc)
            return {}
        return book if isinstance(book, dict) else {}
