"""The request as a TLS terminator in front of the cache node got it: scheme, host and port.

An application builds its links and redirects from these. So the agent fetches a page with the
headers that users' requests bear. Any client can send such headers, so only values that cannot
harm are used: a scheme, a port, and a host by which the service is known.
"""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Collection
from typing import Final

SEPARATOR: Final = "|"
MAX_LENGTH: Final = 400
"""Characters of the text in the edge's log; the edge cuts a longer one."""

_SCHEME: Final = re.compile("https?")
_PORT: Final = re.compile("[1-9][0-9]{0,4}")
_PAIR: Final = re.compile(r'\s*(proto|host|for|by)\s*=\s*(?:"([^"\\]*)"|([^\s",;]*))\s*', re.I)


@dataclasses.dataclass(frozen=True, slots=True)
class Terminator:
    """The values of the headers; "": the header is absent.

    ``forwarded`` is the header ``Forwarded`` (RFC 7239) without the addresses of clients.
    """

    proto: str = ""
    host: str = ""
    port: str = ""
    forwarded: str = ""

    def headers(self) -> dict[str, str]:
        """Return the headers by which the agent repeats them."""
        headers = {
            "X-Forwarded-Proto": self.proto,
            "X-Forwarded-Host": self.host,
            "X-Forwarded-Port": self.port,
            "Forwarded": self.forwarded,
        }
        return {name: value for name, value in headers.items() if value}


NONE: Final = Terminator()


@functools.lru_cache(maxsize=256)
def parse(text: str, hosts: Collection[str]) -> Terminator:
    """Return the values in a text of the edge's log; those that are not usable are left out.

    ``hosts``: the host names of the service, hashable, in lower case and without a port.
    """
    fields = text.split(SEPARATOR)
    if len(fields) != 4:
        return NONE
    proto, host, port, forwarded = (field.strip() for field in fields)
    return Terminator(
        proto=proto if _SCHEME.fullmatch(proto) else "",
        host=host if _is_known(host, hosts) else "",
        port=port if _PORT.fullmatch(port) and int(port) < 65536 else "",
        forwarded=_forwarded(forwarded, hosts),
    )


def _forwarded(text: str, hosts: Collection[str]) -> str:
    """Return scheme and host of the only element of a header ``Forwarded``."""
    pairs = [_PAIR.fullmatch(pair) for pair in text.split(";")]
    if not text or not all(pairs):
        return ""
    values = {m[1].lower(): m[2] if m[2] is not None else m[3] for m in pairs if m}
    proto, host = values.get("proto", ""), values.get("host", "")
    kept = [f"proto={proto}"] if _SCHEME.fullmatch(proto) else []
    if _is_known(host, hosts):
        kept.append(f'host="{host}"' if ":" in host else f"host={host}")
    return ";".join(kept)


def _is_known(host: str, hosts: Collection[str]) -> bool:
    name, _, port = host.lower().partition(":")
    return name in hosts and (not port or _PORT.fullmatch(port) is not None)


class Majority:
    """The value that most of the recent requests bear, in the memory of one value.

    The vote of Boyer and Moore (1981): a value with more than half of the votes wins.
    """

    __slots__ = ("_lead", "value")

    def __init__(self) -> None:
        self.value = NONE
        self._lead = 0

    def add(self, value: Terminator, limit: int = 50) -> None:
        """Count one vote. The lead is bounded by ``limit``, so that old votes are forgotten."""
        if value == self.value:
            self._lead = min(limit, self._lead + 1)
        elif self._lead:
            self._lead -= 1
        else:
            self.value, self._lead = value, 1
