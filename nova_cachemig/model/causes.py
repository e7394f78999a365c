"""The cause in an error of an HTTP client, without the names of Python objects. No I/O."""

from __future__ import annotations

import re
from typing import Final

_POOL: Final = re.compile(r"HTTPS?ConnectionPool\(host='(?P<host>[^']*)', port=(?P<port>\d+)\).*")
"""The text of urllib3. It is long, nests several errors and names objects."""
_CAUSE: Final = re.compile(
    r"\[(?:Errno|SSL)[^\]]*\] (?P<os>[\w .:-]*\w)|timed out|closed connection"
)


def cause_of(exc: BaseException) -> str:
    """Return the text of the error. Its part that urllib3 wrote is shortened to the cause."""
    text = " ".join(str(exc).split())
    pool = _POOL.search(text)
    if pool is None:
        return text
    head = text[: pool.start()].rstrip(": ") or f"{pool['host']}:{pool['port']}"
    cause = _CAUSE.search(pool[0])
    return f"{head}: {cause['os'] or cause[0]}" if cause else head
