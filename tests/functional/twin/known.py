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


_READ_BY_VARNISH = "armed reads pass through Varnish"
_UTF8 = "HAProxy refuses raw bytes above 127 in a URL"

KNOWN = (
    Known("[!be]*", "[as]*", "client.*.accept-ranges: * → bytes", "Varnish adds it"),
    Known("[!be]*", "[as]*", "guest.*.accept-encoding: * → gzip", _READ_BY_VARNISH),
    Known("*HEAD*", "[as]*", "guest.*.method: HEAD → GET", "a HEAD transfers the whole page"),
    Known("path: UTF-8*", "idle", "client.0.status: 200 → 400", _UTF8),
    Known("path: UTF-8*", "idle", "guest.requests: 1 → 0", _UTF8),
    Known("path: Latin-1", "idle", "client.0.status: 200 → 400", _UTF8),
    Known("path: Latin-1", "idle", "guest.requests: 1 → 0", _UTF8),
    Known("form: * a query only*", "idle", "client.0.status: 200 → 400", "HAProxy refuses it"),
    Known("form: * a query only*", "idle", "guest.requests: 1 → 0", "HAProxy refuses it"),
    Known("condition: Range*", "[as]*", "client.0.status: 20[06] → *", _READ_BY_VARNISH),
    Known("condition: Range*", "[as]*", "guest.0.field.range: * → absent", _READ_BY_VARNISH),
    Known("condition: If-*", "[as]*", "guest.0.field.if-*: * → absent", _READ_BY_VARNISH),
    Known("condition: *, the same", "[as]*", "client.0.status: 304 → 503", _READ_BY_VARNISH),
    Known("coding: * sends gzip", "[as]*", "client.0.status: 200 → 503", "no gzip inside"),
    Known("field: Cache-Control: *a*", "armed", "guest.*: * → absent", _READ_BY_VARNISH),
    Known("field: Proxy-Auth*", "armed", "guest.*: * → absent", _READ_BY_VARNISH),
    Known("answer: Accept-Ranges", "[as]*", "client.*: none → bytes", _READ_BY_VARNISH),
    Known("answer: X-Varnish", "[as]*", "client.*: 1 → absent", _READ_BY_VARNISH),
    Known("framing: behind 10*", "[as]*", "client.0.status: 200 → 503", _READ_BY_VARNISH),
    Known("framing: with trailers*", "[as]*", "client.0.status: 200 → 503", _READ_BY_VARNISH),
    Known("framing: behind 10*, written", "s*", "client.0.interim: * → ", "the journal drops it"),
    Known("framing: behind 10*, written", "s*", "*", "a write is in doubt at times", always=False),
    Known("half-close: *", "*", "*", "a client that has half-closed counts as gone", always=False),
)
