"""The effects of a write on reads: pages that become stale, and reads that wait."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

from nova_cachemig.model import paths
from nova_cachemig.model.write import GuestResponse, Headers


@dataclasses.dataclass(frozen=True, slots=True)
class EndedWrite:
    """A write that waits no longer."""

    service: str
    host: str
    urls: tuple[str, ...]  # whose stored responses are stale; the write's own URL is the first
    client: str


def held_reads(url: str, client: str, also: Iterable[str] = ()) -> tuple[str, ...]:
    """Return the keys of the reads that wait for a write.

    These are reads of its URL, of its client, and of the other URLs that it changes.
    """
    return f"url:{url}", f"client:{client}", *(f"url:{other}" for other in also)


def changed_urls(
    url: str, headers: Headers, response: GuestResponse | None = None
) -> tuple[str, ...]:
    """Return the paths, besides its own, of the pages that a write to ``url`` changes.

    Those of the fields ``Location`` and ``Content-Location`` of the response (RFC 9111, section
    4.4), and of the write's ``Destination`` (RFC 4918, section 10.3), on any host: services have
    several. ``response``: None if it is unknown.
    """
    values = [value for name, value in headers if name == "destination"]
    if response is not None and 200 <= response.status < 400:
        values += filter(None, map(response.header, ("location", "content-location")))
    return tuple(dict.fromkeys(paths.resolve(url, value) for value in values))
