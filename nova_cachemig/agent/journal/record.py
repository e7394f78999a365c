"""Converts between an :class:`AcceptedWrite` and its row. A checksum detects a damaged row.

In an encrypted row, the readable columns (service, position, time, method, host, spool file,
length, flags) are the associated data of the encrypted ones: parts of records cannot be exchanged.
The checksum covers the row as it is on disk, so damage is detected without a key.

Next to the disk, making the record is the largest cost of an accepted write. So an unencrypted
record has URL, client, key and headers as lines of one text, in the column ``headers``. Older
records, and those that do not fit into lines, use JSON and separate columns. Making these takes
half as long again.
"""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
from collections.abc import Mapping
from typing import Any, Final

from nova_cachemig.agent.journal.cipher import CLEAR, Cipher, DecryptionError
from nova_cachemig.model.effects import changed_urls
from nova_cachemig.model.write import AcceptedWrite, Body, GuestResponse, Headers

COLUMNS: Final = (
    "service", "position", "state", "accepted_us", "method", "url", "host", "headers", "body",
    "spool", "spool_digest", "length", "client", "idempotency_key", "flags", "wants_later",
    "key_id", "checksum",
)  # fmt: skip
"""The columns that :func:`to_row` returns, in this order."""
RESPONSE_COLUMNS: Final = (
    "ended_us", "status", "response_headers", "response_body", "response_spool", "response_length",
    "response_key_id",
)  # fmt: skip
"""The columns that :func:`response_to_row` returns, in this order."""

_CLIENT_KEY, _HONOURS_KEYS, _FRAMED = 1, 2, 4
_DROPPED: Final = "responded; the body of the response is no longer kept"
_LINES = 8  # flag: the record consists of lines
_LATE = 16  # flag: accepted while other writes went to the guest directly


class Damaged(ValueError):
    """The row is not what was written: the disk or an edit changed it."""


def micros(at: float) -> int:
    """Convert UNIX seconds to whole microseconds."""
    return round(at * 1_000_000)


_dump = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode


def load_headers(text: str | bytes) -> Headers:
    """Return the headers of a row. Raises ValueError if the text is not a list of pairs."""
    return tuple((str(name), str(value)) for name, value in json.loads(text))


def _lines(write: AcceptedWrite) -> str | None:
    """Return URL, client, key and headers as lines; None if they do not fit into lines."""
    headers, key = write.headers, write.key
    text = "\n".join((
        write.url, write.client, "" if key is None else f"={key}",
        *itertools.chain.from_iterable(headers),
    ))  # fmt: skip
    fits = text.count("\n") == 2 + 2 * len(headers)
    # Not every database returns non-ASCII characters and NUL unchanged; JSON escapes them.
    return text if fits and text.isascii() and "\0" not in text else None


def _from_lines(text: str) -> tuple[str, Headers, str, str | None]:
    """Return URL, headers, client, key."""
    url, client, key, *rest = text.split("\n")
    return url, tuple(zip(rest[::2], rest[1::2], strict=True)), client, key[1:] if key else None


def _lines_checksum(
    service: str, position: int, accepted_us: int, method: str, host: str, lines: str,
    body: bytes | None, spool: str | None, spool_digest: bytes | None, length: int, flags: int,
) -> bytes:  # fmt: skip
    names = "\n".join((service, method, host, spool or "", lines))
    head = b"%d %d %d %d %b" % (position, accepted_us, length, flags, names.encode())
    digest = hashlib.blake2b(head, digest_size=8)
    digest.update(spool_digest or b"")
    digest.update(body or b"")
    return digest.digest()


def _checksum(row: Mapping[str, Any]) -> bytes:
    if row["flags"] & _LINES:
        if row["url"] or row["client"] or row["idempotency_key"] or row["key_id"]:
            return b""  # matches no checksum: a record of lines has none of these
        return _lines_checksum(
            row["service"], row["position"], row["accepted_us"], row["method"], row["host"],
            row["headers"], row["body"], row["spool"], row["spool_digest"], row["length"],
            row["flags"],
        )  # fmt: skip
    digest = hashlib.blake2b(digest_size=8)
    head = (
        row["service"], row["position"], row["accepted_us"], row["method"], row["url"],
        row["host"], row["headers"], row["spool"], row["length"], row["client"],
        row["idempotency_key"], row["flags"],
    )  # fmt: skip
    digest.update(repr(head).encode())
    digest.update(row["spool_digest"] or b"")
    digest.update(row["body"] or b"")
    digest.update((row["key_id"] or "").encode())
    return digest.digest()


def _place(row: Mapping[str, Any], part: str) -> bytes:
    """Return the associated data of an encrypted part of a write."""
    return repr((
        part, row["service"], row["position"], row["accepted_us"], row["method"], row["host"],
        row["spool"], row["length"], row["flags"],
    )).encode()  # fmt: skip


def _encrypt(row: dict[str, Any], write: AcceptedWrite, cipher: Cipher) -> None:
    digest = (row["spool_digest"] or b"").hex()
    head = _dump((write.url, write.headers, write.client, write.key, digest)).encode()
    encrypted = cipher.encrypt(head, _place(row, "head"))
    row["headers"] = base64.b64encode(encrypted).decode()
    row["url"] = row["client"] = ""
    row["idempotency_key"] = row["spool_digest"] = None
    if row["body"] is not None:
        row["body"] = cipher.encrypt(row["body"], _place(row, "body"))
    row["key_id"] = cipher.key_id


def _head(row: Mapping[str, Any], cipher: Cipher) -> tuple[str, Headers, str, str | None, bytes]:
    """Return URL, headers, client, key, digest of the spool file. Raises ValueError."""
    if row["flags"] & _LINES:
        return *_from_lines(row["headers"]), bytes(row["spool_digest"] or b"")
    if row["key_id"] is None:
        headers = load_headers(row["headers"])
        digest = bytes(row["spool_digest"] or b"")
        return row["url"], headers, row["client"], row["idempotency_key"], digest
    encrypted = base64.b64decode(row["headers"], validate=True)
    text = cipher.decrypt(row["key_id"], encrypted, _place(row, "head"))
    url, pairs, client, key, hexed = json.loads(text)
    return url, tuple((name, value) for name, value in pairs), client, key, bytes.fromhex(hexed)


def barrier_keys(
    row: Mapping[str, Any], cipher: Cipher = CLEAR
) -> tuple[str, str, str, tuple[str, ...]]:
    """Return host, URL, client and other URLs of a row: the reads to hold. It may lack its body.

    Raises ValueError.
    """
    url, headers, client, _, _ = _head(row, cipher)
    return row["host"], url, client, changed_urls(url, headers)


def read_headers(row: Mapping[str, Any], cipher: Cipher = CLEAR) -> Headers:
    """Return the request headers of a row, which may lack its body. Raises ValueError."""
    return _head(row, cipher)[1]


def to_row(write: AcceptedWrite, cipher: Cipher = CLEAR) -> dict[str, Any]:
    """Return the row of a write that has just been accepted."""
    body = write.body
    spool = body.spool
    flags = (
        write.client_key * _CLIENT_KEY | write.honours_keys * _HONOURS_KEYS | write.framed * _FRAMED
    )
    if write.late:
        flags |= _LATE
    lines = _lines(write) if cipher.key_id is None else None
    if lines is not None:
        flags |= _LINES
    row: dict[str, Any] = {
        "service": write.service,
        "position": write.position,
        "state": "accepted",
        "accepted_us": micros(write.accepted_at),
        "method": write.method,
        "url": write.url if lines is None else "",
        "host": write.host,
        "headers": _dump(write.headers) if lines is None else lines,
        "body": None if spool else body.data,
        "spool": spool,
        "spool_digest": body.digest if spool else None,
        "length": body.length,
        "client": write.client if lines is None else "",
        "idempotency_key": write.key if lines is None else None,
        "flags": flags,
        "wants_later": write.has_status_url,
        "key_id": None,
    }
    if cipher.key_id is not None:
        _encrypt(row, write, cipher)
    row["checksum"] = _checksum(row)
    return row


def from_row(row: Mapping[str, Any], cipher: Cipher = CLEAR) -> AcceptedWrite:
    """Return the write of a row. Raises Damaged with the write's name and the reason."""
    name = f"{row['service']}/{row['position']}"
    if bytes(row["checksum"]) != _checksum(row):
        raise Damaged(f"write {name}: its checksum is wrong")
    flags, data = row["flags"], bytes(row["body"] or b"")
    try:
        url, headers, client, key, digest = _head(row, cipher)
        if row["key_id"] is not None and row["spool"] is None:
            data = cipher.decrypt(row["key_id"], data, _place(row, "body"))
    except DecryptionError as exc:
        raise Damaged(f"write {name}: {exc}") from exc
    body = Body(data=data, spool=row["spool"], length=row["length"], digest=digest)
    return AcceptedWrite(
        service=row["service"],
        position=row["position"],
        accepted_at=row["accepted_us"] / 1_000_000,
        method=row["method"],
        url=url,
        host=row["host"],
        headers=headers,
        body=body,
        client=client,
        key=key,
        client_key=bool(flags & _CLIENT_KEY),
        honours_keys=bool(flags & _HONOURS_KEYS),
        framed=bool(flags & _FRAMED),
        late=bool(flags & _LATE),
        has_status_url=bool(row["wants_later"]),
    )


def _response_place(service: str, position: int, status: int, part: str) -> bytes:
    """Return the associated data of an encrypted part of a response."""
    # "answer", the former word: existing journals are encrypted with it.
    return repr((f"answer {part}", service, position, status)).encode()


def response_to_row(
    response: GuestResponse, service: str, position: int, ended_us: int, cipher: Cipher = CLEAR
) -> dict[str, Any]:
    """Return the columns of the guest's response to the write ``service/position``."""
    row: dict[str, Any] = {
        "ended_us": ended_us,
        "status": response.status,
        "response_headers": _dump(response.headers),
        "response_body": None if response.body.spool else response.body.data,
        "response_spool": response.body.spool,
        "response_length": response.body.length,
        "response_key_id": cipher.key_id,
    }
    if cipher.key_id is not None:
        place = _response_place(service, position, response.status, "head")
        encrypted = cipher.encrypt(row["response_headers"].encode(), place)
        row["response_headers"] = base64.b64encode(encrypted).decode()
        place = _response_place(service, position, response.status, "body")
        row["response_body"] = cipher.encrypt(response.body.data, place)
    return row


def response_from_row(row: Mapping[str, Any], cipher: Cipher = CLEAR) -> GuestResponse | None:
    """Return the guest's response of a row; None if there is none. Raises ValueError."""
    if row["status"] is None:
        return None
    headers, data = row["response_headers"], bytes(row["response_body"] or b"")
    dropped = row["response_body"] is None and row["response_spool"] is None
    if (key_id := row["response_key_id"]) is not None:
        name = (row["service"], row["position"], row["status"])
        encrypted = base64.b64decode(headers, validate=True)
        headers = cipher.decrypt(key_id, encrypted, _response_place(*name, "head"))
        if row["response_body"] is not None:
            data = cipher.decrypt(key_id, data, _response_place(*name, "body"))
    if dropped and row["response_length"]:
        pairs = (*load_headers(headers), ("cachemig-write", _DROPPED))
        return GuestResponse(row["status"], pairs, Body())
    body = Body(data=data, spool=row["response_spool"], length=row["response_length"] or 0)
    return GuestResponse(row["status"], load_headers(headers), body)
