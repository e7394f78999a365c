"""Differences that no RFC asks for and that are not fixed yet.

The twin fails for each other difference, and for each entry here that is seen no more.
"""

from __future__ import annotations

import dataclasses
from fnmatch import fnmatchcase


@dataclasses.dataclass(frozen=True)
class Known:
    """``cases``, ``phases`` and ``line`` are patterns; the reason names the cause."""

    cases: str
    phases: str
    line: str
    reason: str
    always: bool = True  # False: it depends on time

    def covers(self, name: str, phase: str, line: str) -> bool:
        """Tell whether this entry names a difference."""
        return (
            fnmatchcase(name, self.cases)
            and fnmatchcase(phase, self.phases)
            and fnmatchcase(line, self.line)
        )


_READ_BY_VARNISH = "this read passes through Varnish"
_TWICE = "Varnish refuses the response, so the edge asks again"
_EMPTY = "Varnish 7.7 does not pass Content-Length: 0 of a read"
_UTF8 = "HAProxy refuses raw bytes above 127 in a URL"

KNOWN = (
    Known("pipeline: *", "armed", "guest.*.accept-encoding: * → gzip", _READ_BY_VARNISH),
    Known("[!be]*", "s*", "guest.*.accept-encoding: * → gzip", _READ_BY_VARNISH),
    Known("path: UTF-8*", "idle", "client.0.status: 200 → 400", _UTF8),
    Known("path: UTF-8*", "idle", "guest.requests: 1 → 0", _UTF8),
    Known("path: Latin-1", "idle", "client.0.status: 200 → 400", _UTF8),
    Known("path: Latin-1", "idle", "guest.requests: 1 → 0", _UTF8),
    Known("form: * a query only*", "idle", "client.0.status: 200 → 400", "HAProxy refuses it"),
    Known("form: * a query only*", "idle", "guest.requests: 1 → 0", "HAProxy refuses it"),
    Known("condition: If-*", "s*", "guest.0.field.if-*: * → absent", _READ_BY_VARNISH),
    Known("field: Cache-Control: *a*", "s*", "guest.*: * → absent", _READ_BY_VARNISH),
    Known("answer: X-Varnish", "s*", "client.*: 1 → absent", _READ_BY_VARNISH),
    Known("framing: behind 10*", "s*", "guest.requests: 1 → 2", _TWICE),
    Known("framing: * until the end", "s*", "guest.requests: 1 → 2", _TWICE),
    Known("framing: until the end", "s*", "guest.requests: 1 → 2", _TWICE),
    Known("framing: of 300 kB in chunks", "s*", "guest.requests: 1 → 2", _TWICE),
    Known("framing: as HTTP/1.0", "s*", "guest.requests: 1 → 2", _TWICE),
    Known("condition: *, the same", "s*", "guest.requests: 1 → 2", _TWICE),
    Known("coding: * sends gzip", "s*", "guest.requests: 1 → 2", _TWICE),
    Known("framing: behind 10*, HEAD", "s*", "client.0.status: 200 → 500", _READ_BY_VARNISH, False),
    # Varnish fails at the trailers: at times after it has sent the head.
    Known("framing: with trailers*", "s*", "client.0.*", _READ_BY_VARNISH),
    Known("method: GET with an empty *", "s*", "guest.0.f*: * → *", _EMPTY, always=False),
    Known("framing: behind 10*, written", "s*", "client.0.interim: * → ", "the journal drops it"),
    Known("framing: behind 10*, written", "s*", "*", "a write is in doubt at times", always=False),
    Known("half-close: * later", "s*", "*", "who half-closes later counts as gone", always=False),
)
