"""Between a :class:`HeldWrite` and its row, with the checksum that tells a damaged row."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final

from nova_cachemig.model.write import Body, GuestAnswer, Headers, HeldWrite

COLUMNS: Final = (
    "service", "position", "state", "accepted_us", "method", "url", "host", "headers", "body",
    "spool", "spool_digest", "length", "client", "idempotency_key", "flags", "wants_later",
    "checksum",
)  # fmt: skip
"""What :func:`to_row` returns, in its order."""

_CLIENT_KEY, _HONOURS_KEYS, _FRAMED = 1, 2, 4


class Damaged(ValueError):
    """A row that is not what was written: the disk's fault, or somebody's who edited it."""


def micros(at: float) -> int:
    """Return UNIX seconds as whole microseconds."""
    return round(at * 1_000_000)


_dump = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode


def load_headers(text: str) -> Headers:
    """Return the headers of a row. Raises ValueError for what is not a list of pairs."""
    return tuple((str(name), str(value)) for name, value in json.loads(text))


def _checksum(row: Mapping[str, Any]) -> bytes:
    digest = hashlib.blake2b(digest_size=8)
    head = (
        row["service"], row["position"], row["accepted_us"], row["method"], row["url"],
        row["host"], row["headers"], row["spool"], row["length"], row["client"],
        row["idempotency_key"], row["flags"],
    )  # fmt: skip
    digest.update(repr(head).encode())
    digest.update(row["spool_digest"] or b"")
    digest.update(row["body"] or b"")
    return digest.digest()


def to_row(write: HeldWrite) -> dict[str, Any]:
    """Return the row of a write that has just been accepted."""
    body = write.body
    row: dict[str, Any] = {
        "service": write.service,
        "position": write.position,
        "state": "accepted",
        "accepted_us": micros(write.accepted_at),
        "method": write.method,
        "url": write.url,
        "host": write.host,
        "headers": _dump(write.headers),
        "body": None if body.spool else body.data,
        "spool": body.spool,
        "spool_digest": body.digest if body.spool else None,
        "length": body.length,
        "client": write.client,
        "idempotency_key": write.key,
        "flags": write.client_key * _CLIENT_KEY
        | write.honours_keys * _HONOURS_KEYS
        | write.framed * _FRAMED,
        "wants_later": write.wants_later,
    }
    row["checksum"] = _checksum(row)
    return row


def from_row(row: Mapping[str, Any]) -> HeldWrite:
    """Return the write of a row. Raises Damaged, with its name and what is wrong."""
    name = f"{row['service']}/{row['position']}"
    if bytes(row["checksum"]) != _checksum(row):
        raise Damaged(f"write {name}: its checksum is wrong")
    flags = row["flags"]
    body = Body(
        data=bytes(row["body"] or b""),
        spool=row["spool"],
        length=row["length"],
        digest=bytes(row["spool_digest"] or b""),
    )
    return HeldWrite(
        service=row["service"],
        position=row["position"],
        accepted_at=row["accepted_us"] / 1_000_000,
        method=row["method"],
        url=row["url"],
        host=row["host"],
        headers=load_headers(row["headers"]),
        body=body,
        client=row["client"],
        key=row["idempotency_key"],
        client_key=bool(flags & _CLIENT_KEY),
        honours_keys=bool(flags & _HONOURS_KEYS),
        framed=bool(flags & _FRAMED),
        wants_later=bool(row["wants_later"]),
    )


def answer_to_row(answer: GuestAnswer) -> dict[str, Any]:
    """Return the columns of a guest's answer."""
    return {
        "status": answer.status,
        "answer_headers": _dump(answer.headers),
        "answer_body": None if answer.body.spool else answer.body.data,
        "answer_spool": answer.body.spool,
        "answer_length": answer.body.length,
    }


def answer_from_row(row: Mapping[str, Any]) -> GuestAnswer | None:
    """Return the guest's answer of a row, None where there is none."""
    if row["status"] is None:
        return None
    body = Body(
        data=bytes(row["answer_body"] or b""),
        spool=row["answer_spool"],
        length=row["answer_length"] or 0,
    )
    return GuestAnswer(row["status"], load_headers(row["answer_headers"]), body)
