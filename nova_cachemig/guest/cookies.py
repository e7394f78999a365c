"""Which cookies identify a client. The agent's intake uses the same rules.

Nothing says which of several cookies is the login, and applications change the others between two
requests: a token against forged requests, a shopping cart. So there are two rules. Requests with
different *logins* come from different clients. Requests with equal cookies come from one client.
In all other cases
the client is unknown.
"""

from __future__ import annotations

import re
from typing import Final

# Cookies that change while the client stays the same: against forged requests, for one page view,
# of load balancers.
_PASSING: Final = re.compile(
    r"csrf|xsrf|forgery|verification|nonce|flash|^awsalb|^__cf", re.IGNORECASE
)
_LOGIN: Final = re.compile(
    r"sess|sid$|^sid|auth|login|token|jwt|user|remember|account", re.IGNORECASE
)


def parse(value: str) -> list[str]:
    """Return the cookies of a header field as ``NAME=VALUE``, in a fixed order."""
    return sorted(pair for pair in (part.strip() for part in value.split(";")) if pair)


def logins(value: str, name: str | None = None) -> list[str]:
    """Return the cookies that identify the client: ``name``'s, else those named like a login.

    A cookie that is alone is the login, whatever its name.
    """
    found = parse(value)
    lasting = [pair for pair in found if not _PASSING.search(_name(pair))]
    own = [pair for pair in found if _name(pair) == name]
    named = [pair for pair in lasting if _LOGIN.search(_name(pair))]
    return own or named or (lasting if len(lasting) == 1 else [])


def _name(pair: str) -> str:
    return pair.partition("=")[0].strip()
