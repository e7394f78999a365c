"""Logins that the guest has replaced by others, as its responses to writes show.

Some applications give a client a new session cookie from time to time. A client that repeats a
request with its key then looks like another client.
"""

from __future__ import annotations

import collections
import hashlib
from collections.abc import Iterator
from typing import Final

from nova_cachemig.agent.intake.identity import Identity, with_cookies_of
from nova_cachemig.model.write import GuestResponse, Headers

_LIMIT: Final = 2000  # logins of one service; the oldest are forgotten
_MAX_LOGIN: Final = 1024  # characters; a longer login is not remembered
_MAX_STEPS: Final = 16  # replacements of one login that are followed


class Renewals:
    """The renewed logins of one service's clients, in memory."""

    def __init__(self) -> None:
        self._former: collections.OrderedDict[bytes, tuple[str, ...]] = collections.OrderedDict()

    def learn(
        self, headers: Headers, client: str, client_cookie: str | None, response: GuestResponse
    ) -> None:
        """Compare the login before a response with the one that its cookies leave."""
        if response.header("set-cookie") is None:
            return
        before = Identity(headers, client, client_cookie).login
        after = Identity(with_cookies_of(response, headers), client, client_cookie).login
        if not before or not after or before == after or sum(map(len, before)) > _MAX_LOGIN:
            return
        name = _name(after)
        self._former[name] = before
        self._former.move_to_end(name)
        if len(self._former) > _LIMIT:
            self._former.popitem(last=False)

    def former(self, login: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
        """Yield the logins that this one has replaced, the newest first."""
        seen = {login}
        while (found := self._former.get(_name(login))) is not None and found not in seen:
            if len(seen) > _MAX_STEPS:
                return
            yield found
            seen.add(found)
            login = found


def _name(login: tuple[str, ...]) -> bytes:
    state = hashlib.blake2b(digest_size=16)
    for part in login:
        raw = part.encode("utf-8", "surrogateescape")
        state.update(len(raw).to_bytes(4, "big") + raw)
    return state.digest()
