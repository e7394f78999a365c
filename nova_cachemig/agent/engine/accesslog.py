"""The edge's log lines: their format and their parser.

A line has a fixed number of fields. Text that a client chose (method, Host, URL) is in base64, so
that it cannot contain a blank, a line break or another field. A truncated line lacks the last field
and is skipped.
"""

from __future__ import annotations

import base64
import binascii
import dataclasses

from nova_cachemig.agent.engine import names
from nova_cachemig.model.access import AccessRecord
from nova_cachemig.model.reads import Facts
from nova_cachemig.model.terminator import MAX_LENGTH

MAX_LINE_LENGTH = 16384
"""Bytes. HAProxy truncates longer lines (URLs above about 10 kB), and the agent skips them."""

MAX_HABIT = 256
"""Characters of User-Agent, Accept and Accept-Language in a line; a longer one is cut."""

MAX_NAMES = 512
"""Characters of the names of cookies in a line."""

SAMPLE_ONE_IN = 8
"""Requests of which one has the names of its cookies in its line."""

LOG_FORMAT = " ".join(
    [
        "v5",
        "%[var(txn.svc)]",
        "%[var(txn.from)]",
        "%ST",
        "%[date(0,us)]",
        "%Ta",
        "%Tw",
        "%Tc",
        "%Tr",
        "%ts",
        "%[var(txn.served)]",
        "%[var(txn.error)]",
        "%[var(txn.wait)]",
        "%[var(txn.facts)]",
        "%[var(txn.cookies)]",
        "%[var(txn.method),base64]",
        "%[var(txn.host),base64]",
        "%[var(txn.url),base64]",
        f"%[var(txn.forwarded),bytes(0,{MAX_LENGTH}),base64]",
        *(f"%[var(txn.{name}),base64]" for name in ("agent", "accept", "language")),
        "%[var(txn.sampled)]",
        f"%[var(txn.names),bytes(0,{MAX_NAMES}),base64]",
        "end",
    ]
)

"""Fields of a line. The four times are in milliseconds:

* ``%Ta``: from the request to the last byte;
* ``%Tw``: in rules (a hold is one) and queues; -1: the request never left them;
* ``%Tc``: until connected, all attempts together;
* ``%Tr``: from the connection to the head of the response; -1: no response.
"""

_FACTS = 12
_FIELDS = LOG_FORMAT.count(" ") + 1


@dataclasses.dataclass(frozen=True, slots=True)
class EdgeRecord:
    """One request as the edge logged it."""

    access: AccessRecord
    served: str  # hit, stale, stored, pass, none; "": the request did not reach the cache
    error: str  # guest, hold, cache: the cause of an error response of the edge; "": no error
    held: bool
    wait: float  # seconds from the request to the head of the response
    facts: Facts | None = None  # of a read or write in a handover


class LogLineError(ValueError):
    """The text is not one complete line of this format."""


def _decode(field: bytes) -> str:
    if field == b"-":
        return ""
    try:
        return base64.b64decode(field, validate=True).decode("utf-8", "surrogateescape")
    except binascii.Error as exc:
        raise LogLineError(f"{field!r:.80} is not base64") from exc


def _plain(field: bytes) -> str:
    return "" if field == b"-" else field.decode("ascii", "replace")


def parse(line: bytes) -> EdgeRecord | None:
    """Return the record of a line; None if no service matched (421). Raises LogLineError."""
    fields = line.split(b" ")
    if len(fields) != _FIELDS or fields[0] != b"v5" or fields[-1] != b"end":
        raise LogLineError(f"{len(fields)} fields: {line!r:.80}")
    if fields[1] == b"-":
        return None
    try:
        total, queued, connected, responded = (int(field) for field in fields[5:9])
        access = AccessRecord(
            service=names.decode_service(_plain(fields[1])),
            client=_plain(fields[2]),
            method=_decode(fields[15]),
            host=_decode(fields[16]),
            url=_decode(fields[17]),
            status=int(fields[3]),
            at=int(fields[4]) / 1e6,
            seconds=total / 1e3,
            forwarded=_decode(fields[18]),
            agent=_decode(fields[19]),
            accept=_decode(fields[20]),
            language=_decode(fields[21]),
            has_cookie=fields[14] not in (b"-", b"0"),
            cookies=None if fields[22] == b"-" else _names(_decode(fields[23])),
        )
        facts = _facts(fields[13])
    except ValueError as exc:
        raise LogLineError(str(exc)) from exc
    wait = total if responded < 0 else max(queued, 0) + max(connected, 0) + responded
    return EdgeRecord(
        access,
        served=_plain(fields[10]),
        error=_plain(fields[11]),
        held=fields[12] != b"-",
        wait=wait / 1e3,
        facts=facts,
    )


def _names(text: str) -> tuple[str, ...]:
    """Return the names of cookies, each with "=" behind it. A text without it is a value."""
    parts = (part.strip() for part in text.split(";"))
    return tuple(dict.fromkeys(part[:-1] for part in parts if part[1:].endswith("=")))


def _facts(field: bytes) -> Facts | None:
    """Parse the value of ``txn.facts`` in ``edge.cfg.j2``; an unknown variable is empty or "-"."""
    if field == b"-":
        return None
    values = ["" if value == "-" else value for value in field.decode("ascii").split("|")]
    if len(values) != _FACTS:
        raise ValueError(f"{len(values)} facts")
    kind, mode, slot, rule, anonymous, plain, shared, wrote, never, after, proof, rules = values
    return Facts(
        kind=kind,
        mode=mode,
        slot=slot,
        rule=rule,
        anonymous=bool(anonymous),
        plain=int(plain or 0),
        shared=bool(shared),
        wrote=bool(wrote),
        never=bool(never),
        after_write=bool(after),
        proved=int(proof or 0) > 0,
        rules=tuple(int(number) for number in rules.split(".") if number),
    )
