"""Decides about requests with a key: apply, refuse, or repeat the first response."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable

from nova_cachemig.guest import cookies
from nova_cachemig.guest import key as keys
from nova_cachemig.guest.body import NoRoom
from nova_cachemig.guest.response import Response, problem_response
from nova_cachemig.guest.settings import AfterCrash, Settings
from nova_cachemig.guest.sqlite import SqliteStore
from nova_cachemig.guest.store import Record, State, Store, StoreError, StoreFull

LOG = logging.getLogger(__name__)

KEY = "nova_cachemig.idempotency_key"
"""The name of the key in WSGI's environ and ASGI's scope. The key is a text of 64 characters, the
same for every attempt of one client's request, and for no other request."""

_RETRY_AFTER = ("Retry-After", "1")


class KeyRegistry:
    """The common part of the WSGI and ASGI middleware. Only calls to the store block."""

    def __init__(self, store: Store | str | os.PathLike[str], settings: Settings) -> None:
        """``store``: a store, or the path of a :class:`SqliteStore` with default settings."""
        self._store = SqliteStore(store) if isinstance(store, str | os.PathLike) else store
        self._settings = settings

    def key(
        self, method: str, value: str | None, header: Callable[[str], str]
    ) -> str | Response | None:
        """Return the name under which to store the key, None to pass the request, or a refusal.

        ``value`` is that of Idempotency-Key. ``header`` returns other headers by name, or "".
        """
        if method not in self._settings.methods:
            return None
        if value is None:
            if not self._settings.required:
                return None
            return problem_response(
                400, "key-missing", "This request needs the header Idempotency-Key."
            )
        try:
            key = keys.parse(value, bare=self._settings.bare_keys)
        except keys.BadKey as exc:
            return problem_response(400, "key-invalid", str(exc))
        parts = [key, *(_login(name, header) for name in self._settings.scope)]
        return keys.digest(part.encode("utf-8", "surrogateescape") for part in parts)

    def cookies(self, header: Callable[[str], str]) -> str:
        """Return the cookies that a repetition must have too; "" if they are not in the scope."""
        if not any(name.split(":")[0] == "cookie" for name in self._settings.scope):
            return ""
        return "; ".join(cookies.parse(header("cookie")))

    @property
    def max_body(self) -> int:
        """Limit for the body of a request, in bytes."""
        return self._settings.max_body

    @property
    def max_response(self) -> int:
        """Limit for a stored response, in bytes."""
        return self._settings.max_response

    def too_large(self) -> Response:
        """Return the refusal of a body over the limit."""
        detail = f"More than {self.max_body} bytes in a request with a key. It was not applied."
        return problem_response(413, "body-too-large", detail)

    def no_room(self, exc: NoRoom) -> Response:
        """Return the refusal of a body for which the disk has no room."""
        LOG.error("A request with a key was refused: its body cannot be stored: %s", exc)
        detail = "No room for its body. This request was not applied."
        return problem_response(503, "no-room", detail, _RETRY_AFTER)

    def claim(self, key: str, fingerprint: str) -> Response | None:
        """Return None if the caller must apply the request and then call a method below."""
        again = self._settings.after_crash is AfterCrash.AGAIN
        try:
            record = self._store.claim(key, fingerprint, again=again)
        except StoreFull as exc:
            LOG.error("A request with a key was refused: %s", exc)
            detail = "Too many keys are stored. This request was not applied."
            return problem_response(503, "keys-full", detail, ("Retry-After", "60"))
        except StoreError as exc:
            LOG.error("A request with a key was refused: %s", exc)
            detail = "The key cannot be stored. This request was not applied."
            return problem_response(503, "keys-unavailable", detail, _RETRY_AFTER)
        return None if record is None else _repeated(record, fingerprint)

    def record_response(self, key: str, response: Response) -> None:
        """Store the application's response. Call this before the client gets it."""
        try:
            if response.status in self._settings.not_kept:
                self._store.release(key)
            else:
                self._store.record_response(key, response)
        except StoreError as exc:
            # The client still gets the response. The key stays in flight.
            LOG.error("A request was applied, but its response cannot be stored: %s", exc)

    def record_failure(self, key: str) -> None:
        """Store an error response: the application raised an exception."""
        detail = "The application failed at the first attempt of this request."
        self.record_response(key, problem_response(500, "application-failed", detail))

    def mark_unknown(self, key: str) -> None:
        """Record that the application was interrupted."""
        LOG.warning("A request was interrupted: whether it was applied is unknown")
        try:
            self._store.mark_unknown(key)
        except StoreError as exc:
            LOG.error("Its key stays in flight: %s", exc)

    def release(self, key: str) -> None:
        """Forget the key: the application did not get the request."""
        try:
            self._store.release(key)
        except StoreError as exc:
            LOG.error("A key stays in flight although its request was not applied: %s", exc)


def _login(name: str, header: Callable[[str], str]) -> str:
    """Return what a header of the scope says of the client."""
    field, _, cookie = name.partition(":")
    if field != "cookie":
        return header(name)
    return "; ".join(cookies.logins(header("cookie"), cookie or None))


def _repeated(record: Record, fingerprint: str) -> Response:
    if record.fingerprint != fingerprint:
        detail = "This Idempotency-Key came with another request or other cookies before."
        return problem_response(422, "key-reused", detail)
    if record.state is State.IN_FLIGHT:
        detail = "The first request with this Idempotency-Key is still in progress."
        return problem_response(409, "in-flight", detail, _RETRY_AFTER)
    if record.state is State.UNKNOWN or record.response is None:
        detail = (
            "The application stopped during the first request with this Idempotency-Key. "
            "Whether it was applied is unknown, so it is not applied again. "
            "Find out, then use a new key."
        )
        return problem_response(409, "outcome-unknown", detail)
    if not record.response.whole:
        detail = (
            "The first request with this Idempotency-Key was applied, so it is not applied again. "
            "Its response was too large to store."
        )
        where = tuple(pair for pair in record.response.headers if pair[0].lower() == "location")
        return problem_response(
            409, "response-not-kept", detail, *where, first=record.response.status
        )
    return record.response.replayed()
