"""The effects of a write on reads: pages that become stale, and reads that wait."""

from __future__ import annotations

import dataclasses
import urllib.parse

from nova_cachemig.model.write import GuestResponse


@dataclasses.dataclass(frozen=True, slots=True)
class EndedWrite:
    """A write that waits no longer."""

    service: str
    host: str
    urls: tuple[str, ...]  # whose stored responses are stale; the write's own URL is the first
    client: str


def held_reads(url: str, client: str) -> tuple[str, str]:
    """Return the keys of the reads that wait for a write: of its URL, and of its client."""
    return f"url:{url}", f"client:{client}"


def changed_urls(host: str, url: str, response: GuestResponse) -> tuple[str, ...]:
    """Return the other URLs of the same host that a write to ``url`` changes.

    RFC 9111, section 4.4.
    """
    if not 200 <= response.status < 400:
        return ()
    found = []
    for name in ("location", "content-location"):
        value = response.header(name)
        if value is None:
            continue
        try:
            absolute = urllib.parse.urljoin(f"http://{host}{url}", value)
            parts = urllib.parse.urlsplit(absolute)
        except ValueError:
            continue
        if parts.netloc == host and parts.path:
            found.append(parts.path + (f"?{parts.query}" if parts.query else ""))
    return tuple(found)
