"""The registry of HTTP methods. The edge, the intake and the journal classify requests by it.

A method that is not listed is a write that must not be sent twice.
"""

from __future__ import annotations

from typing import Final

SAFE: Final = ("GET", "HEAD", "OPTIONS", "TRACE", "PROPFIND", "REPORT", "SEARCH", "QUERY")
"""Reads: RFC 9110, section 9.2.1; WebDAV (RFC 4918, RFC 3253, RFC 5323); QUERY is in the registry
of IANA. They may have a body. The edge holds them during the silence; the journal never has them.
A preflight of CORS is one, since it is an OPTIONS."""

IDEMPOTENT: Final = frozenset({*SAFE, "PUT", "DELETE"})
"""Methods that may be sent again: RFC 9110, section 9.2.2."""

TO_DESTINATION: Final = ("COPY", "MOVE")
"""Writes that also change the page of their field ``Destination``: RFC 4918, sections 9.8, 9.9."""
