"""The path of a URL in one spelling, so that a write to a page is found under all of them.

Two spellings of one path have the same canonical form. The reverse does not hold: the form ignores
the query, case, empty segments and parameters of a segment. Some servers distinguish these, others
do not. A read that is wrongly taken for one of a written page costs a fetch, no more.

``edge.lua`` does the same.
"""

from __future__ import annotations

import re
import urllib.parse
from typing import Final

_AUTHORITY: Final = re.compile(r"(?:[A-Za-z][A-Za-z0-9+.-]*:)?//[^/]*")


def _raw(url: str) -> bytes:
    """Return the bytes of a URL from a request (latin-1 text) or from a log (UTF-8)."""
    try:
        return url.encode("latin-1")
    except UnicodeEncodeError:
        return url.encode("utf-8", "surrogateescape")


def canonical(url: str) -> bytes:
    """Return the canonical form of the path of a URL without a host."""
    path = urllib.parse.unquote_to_bytes(_raw(_path(url)))
    kept: list[bytes] = []
    for segment in path.replace(b"\\", b"/").lower().split(b"/"):
        name = segment.partition(b";")[0]
        if name == b"..":
            del kept[-1:]
        elif name not in (b"", b"."):
            kept.append(name)
    return b"/" + b"/".join(kept)


def resolve(url: str, reference: str) -> str:
    """Return the path to which a reference in a message about ``url`` leads.

    The host does not matter: it can be another one of the service.
    """
    path = _path(reference.strip(" \t"))
    authority = _AUTHORITY.match(path)
    if authority is not None:
        return path[authority.end() :] or "/"
    if path.startswith("/"):
        return path
    return _path(url).rpartition("/")[0] + "/" + path if path else _path(url)


def _path(url: str) -> str:
    return re.split("[?#]", url, maxsplit=1)[0]
