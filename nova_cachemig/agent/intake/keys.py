"""Idempotency-Key: the same key with the same request of the same client gets the same response.

draft-ietf-httpapi-idempotency-key-header: another request with the key gets 422; a repetition while
the first request is in flight gets 409.

Clients may choose equal keys, so a key is stored together with the client's login (see
``identity``): a client with another login has another key. If the login is equal but other cookies
or the address differ, the request may be a repetition or another client's. Then it gets 422: no
client gets the response to another one, no request is applied twice, and none is dropped
silently. A client that repeats a request with exactly the cookies that the first response has set
is the same one, even if its login is new. The guest may renew the login with the response to
another write (see ``renewals``). A repetition with the new login gets 409: it may come from another
user of the same browser.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Iterable
from typing import Final

from nova_cachemig.agent.intake.identity import Identity
from nova_cachemig.guest import form
from nova_cachemig.model.write import Body

HEADER: Final = "idempotency-key"
_HALF: Final = 16  # characters of a fingerprint for the request; the others are for the client


def fresh() -> str:
    """Return a key for a guest that honours keys: a quoted string of RFC 8941."""
    return f'"{secrets.token_hex(16)}"'


def digest(key: str, login: tuple[str, ...]) -> str:
    """Return the name under which the key of a client with this login is stored: 32 characters."""
    return _hash(16, key, *login)


def exact_digest(key: str, identity: Identity) -> str:
    """Return the name under which the key is stored for the cookies that the response has set."""
    return _hash(16, "exact", key, str(len(identity.login)), *identity.login, *identity.marks)


def fingerprint(
    method: str,
    host: str,
    url: str,
    content_type: str | None,
    body: Body,
    identity: Identity,
    read: Callable[[str], Iterable[bytes]],
) -> str:
    """Return what distinguishes a request from others with the same key: 32 characters.

    ``read`` yields the content of a spool file, which only a form needs: this call blocks then.
    """
    kind, boundary = form.split_type(content_type or "")
    if boundary is not None:
        content = form.digest(read(body.spool) if body.spool else [body.data], boundary)
    elif body.spool:
        content = body.digest
    else:
        content = hashlib.blake2b(body.data, digest_size=16).digest()
    return _hash(8, method, host, url, kind, content.hex()) + marks(identity)


def marks(identity: Identity) -> str:
    """Return the second half of a fingerprint."""
    return _hash(8, *identity.marks)


def difference(first: str, second: str) -> str:
    """Return how two fingerprints differ, as a sentence for the client; empty if they are equal."""
    if not same_request(first, second):
        return "This Idempotency-Key was used with another request."
    if first != second:
        return (
            "This Idempotency-Key was used with other cookies or from another address. This "
            "request was not accepted."
        )
    return ""


def same_request(first: str, second: str) -> bool:
    """Return whether two fingerprints differ in the client at most."""
    return first[:_HALF] == second[:_HALF]


def _hash(size: int, *parts: str) -> str:
    state = hashlib.blake2b(digest_size=size)
    for part in parts:
        raw = part.encode("utf-8", "surrogateescape")
        state.update(len(raw).to_bytes(4, "big") + raw)
    return state.hexdigest()
