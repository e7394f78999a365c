"""Decides about requests with a key: apply, refuse, or give the answer of the first time."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable

from nova_cachemig.guest import key as keys
from nova_cachemig.guest.answer import Answer, problem
from nova_cachemig.guest.body import NoRoom
from nova_cachemig.guest.settings import AfterCrash, Settings
from nova_cachemig.guest.sqlite import SqliteStore
from nova_cachemig.guest.store import Record, State, Store, StoreError, StoreFull

LOG = logging.getLogger(__name__)

KEY = "nova_cachemig.idempotency_key"
"""Where the application finds the key: in WSGI's environ, in ASGI's scope. A text of 64 characters
that is the same for every try of one client's request, and of no other."""

_LATER = ("Retry-After", "1")


class Ledger:
    """What the WSGI and the ASGI middleware have in common. It blocks for the store only."""

    def __init__(self, store: Store | str | os.PathLike[str], settings: Settings) -> None:
        """``store``: a path is that of a :class:`SqliteStore` as it comes."""
        self._store = SqliteStore(store) if isinstance(store, str | os.PathLike) else store
        self._settings = settings

    def key(
        self, method: str, value: str | None, header: Callable[[str], str]
    ) -> str | Answer | None:
        """Return what the key is kept under, None to let the request pass, or a refusal.

        ``value``: of Idempotency-Key. ``header`` gives others by name, "" where there is none.
        """
        if method not in self._settings.methods:
            return None
        if value is None:
            if not self._settings.required:
                return None
            return problem(400, "key-missing", "This request needs the header Idempotency-Key.")
        try:
            key = keys.parse(value, bare=self._settings.bare_keys)
        except keys.BadKey as exc:
            return problem(400, "key-invalid", str(exc))
        parts = [key, *(header(name) for name in self._settings.scope)]
        return keys.digest(part.encode("utf-8", "surrogateescape") for part in parts)

    @property
    def max_body(self) -> int:
        """Bytes of a request."""
        return self._settings.max_body

    @property
    def max_answer(self) -> int:
        """Bytes of an answer."""
        return self._settings.max_answer

    def too_large(self) -> Answer:
        """Return the refusal of a body over the limit."""
        detail = f"More than {self.max_body} bytes in a request with a key. It was not applied."
        return problem(413, "body-too-large", detail)

    def no_room(self, exc: NoRoom) -> Answer:
        """Return the refusal of a body that the disk does not take."""
        LOG.error("A request with a key was refused: its body cannot be taken in: %s", exc)
        detail = "No room for its body. This request was not applied."
        return problem(503, "no-room", detail, _LATER)

    def claim(self, key: str, fingerprint: str) -> Answer | None:
        """None: the request is to be applied, and one of the others below is to be called."""
        again = self._settings.after_crash is AfterCrash.AGAIN
        try:
            record = self._store.claim(key, fingerprint, again=again)
        except StoreFull as exc:
            LOG.error("A request with a key was refused: %s", exc)
            detail = "Too many keys are kept. This request was not applied."
            return problem(503, "keys-full", detail, ("Retry-After", "60"))
        except StoreError as exc:
            LOG.error("A request with a key was refused: %s", exc)
            detail = "Its key cannot be kept. This request was not applied."
            return problem(503, "keys-unavailable", detail, _LATER)
        return None if record is None else _known(record, fingerprint)

    def answered(self, key: str, answer: Answer) -> None:
        """The application has answered; the client may see it after this."""
        try:
            if answer.status in self._settings.not_kept:
                self._store.release(key)
            else:
                self._store.answered(key, answer)
        except StoreError as exc:
            # The client gets its answer, which is true. The key stays in flight.
            LOG.error("A request was applied, but its answer cannot be kept: %s", exc)

    def failed(self, key: str) -> None:
        """The application raised an error: that is its answer."""
        detail = "The application failed when it dealt with this request for the first time."
        self.answered(key, problem(500, "application-failed", detail))

    def unknown(self, key: str) -> None:
        """The application was broken off."""
        LOG.warning("A request was broken off: whether it was applied is not known")
        try:
            self._store.unknown(key)
        except StoreError as exc:
            LOG.error("Its key stays in flight: %s", exc)

    def release(self, key: str) -> None:
        """The application was not asked after all."""
        try:
            self._store.release(key)
        except StoreError as exc:
            LOG.error("A key stays in flight whose request was not applied: %s", exc)


def _known(record: Record, fingerprint: str) -> Answer:
    if record.fingerprint != fingerprint:
        detail = "This Idempotency-Key came with another request before."
        return problem(422, "key-reused", detail)
    if record.state is State.IN_FLIGHT:
        detail = "The first request with this Idempotency-Key is under way."
        return problem(409, "in-flight", detail, _LATER)
    if record.state is State.UNKNOWN or record.answer is None:
        detail = (
            "The application stopped while it dealt with the first request with this "
            "Idempotency-Key. Whether it was applied is not known, so it is not applied again. "
            "Find out, then use a new key."
        )
        return problem(409, "outcome-unknown", detail)
    if not record.answer.whole:
        detail = (
            "The first request with this Idempotency-Key was applied, and is not again. "
            "Its answer was too large to keep."
        )
        where = tuple(pair for pair in record.answer.headers if pair[0].lower() == "location")
        return problem(409, "answer-not-kept", detail, *where, first=record.answer.status)
    return record.answer.replayed()
