"""Pages of a list: marker, limit and links. No I/O."""

from __future__ import annotations

import urllib.parse
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from nova_cachemig.api.errors import ApiError

T = TypeVar("T")


def limit_of(query: Mapping[str, str], most: int) -> int:
    """Return the number of items in a page: the client's, but at most ``most``."""
    return min(int(query.get("limit", most)), most)


def cut(
    items: Sequence[T], marker: str | None, limit: int, name: Callable[[T], str]
) -> tuple[Sequence[T], bool]:
    """Return the items behind the marker, at most ``limit``; and whether more follow.

    Raises ApiError (400) for a marker that names no item of the list.
    """
    start = 0
    if marker is not None:
        found = next((n for n, item in enumerate(items) if name(item) == marker), None)
        if found is None:
            raise ApiError(400, "the marker names no item of this list")
        start = found + 1
    return items[start : start + limit], len(items) > start + limit


def next_links(base: str, query: Mapping[str, str], marker: str) -> list[dict[str, Any]]:
    """Return the link to the page behind the item ``marker``."""
    following = urllib.parse.urlencode({**query, "marker": marker})
    return [{"rel": "next", "href": f"{base}?{following}"}]
