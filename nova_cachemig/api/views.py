"""The parts that all representations share: links and times. No I/O."""

from __future__ import annotations

import datetime
import urllib.parse
from typing import Any

from nova_cachemig.api.call import Request
from nova_cachemig.api.paging import next_links


def self_links(request: Request, *path: str) -> list[dict[str, str]]:
    """Return the link to a thing by its path below ``/v1``."""
    quoted = "/".join(urllib.parse.quote(part, safe="") for part in path)
    return [{"rel": "self", "href": f"{request.base}/v1/{quoted}"}]


def time(at: float | None) -> str | None:
    """Return UNIX seconds as ISO 8601 in UTC."""
    if at is None:
        return None
    found = datetime.datetime.fromtimestamp(at, datetime.UTC)
    return found.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def page(request: Request, noun: str, shown: list[dict[str, Any]], *, more: bool) -> dict[str, Any]:
    """Return one page of a list; with a link to the next one if ``more`` follow."""
    found: dict[str, Any] = {noun: shown}
    if more and shown:
        base = f"{request.base}/v1/{noun}"
        found[f"{noun}_links"] = next_links(base, request.query, str(shown[-1]["id"]))
    return found
