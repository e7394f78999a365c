"""The edge's log lines: their format, and what a line says.

A line has a fixed number of words. What a client chose (method, Host, URL) is in base64, so it can
be neither a blank nor a line break nor another field. A line that was cut off lacks the last word
and is not used.
"""

from __future__ import annotations

import base64
import binascii
import dataclasses

from nova_cachemig.agent.engine import names
from nova_cachemig.model.access import AccessRecord

LINE_LENGTH = 16384
"""Bytes; longer lines (URLs of more than some 10 kB) are cut off by HAProxy and then skipped."""

LOG_FORMAT = " ".join(
    [
        "v1",
        "%[var(txn.svc)]",
        "%[src]",
        "%ST",
        "%[date(0,us)]",
        "%Ta",  # ms from the request to the last byte
        "%Tw",  # ms in rules (a hold among them) and queues; -1: never left them
        "%Tc",  # ms until connected, all tries together
        "%Tr",  # ms from then to the head of the answer; -1: none came
        "%ts",
        "%[var(txn.served)]",
        "%[var(txn.error)]",
        "%[var(txn.wait)]",
        "%[var(txn.cookies)]",
        "%[var(txn.method),base64]",
        "%[var(txn.host),base64]",
        "%[var(txn.url),base64]",
        "end",
    ]
)

_WORDS = LOG_FORMAT.count(" ") + 1


@dataclasses.dataclass(frozen=True, slots=True)
class EdgeRecord:
    """One request as the edge saw it."""

    access: AccessRecord
    served: str  # hit, stale, stored, pass, none; "" when the cache was not asked
    error: str  # guest, hold, cache: whose fault an answer of the edge's own was; "": none
    held: bool
    wait: float  # seconds from the request to the head of its answer


class NotALine(ValueError):
    """Not one whole line of this format."""


def _text(word: bytes) -> str:
    if word == b"-":
        return ""
    try:
        return base64.b64decode(word, validate=True).decode("utf-8", "surrogateescape")
    except binascii.Error as exc:
        raise NotALine(f"{word!r:.80} is not base64") from exc


def _word(word: bytes) -> str:
    return "" if word == b"-" else word.decode("ascii", "replace")


def parse(line: bytes) -> EdgeRecord | None:
    """What a line says; None where no service was found (421). Raises NotALine."""
    words = line.split(b" ")
    if len(words) != _WORDS or words[0] != b"v1" or words[-1] != b"end":
        raise NotALine(f"{len(words)} words: {line!r:.80}")
    if words[1] == b"-":
        return None
    try:
        total, queued, connected, answered = (int(word) for word in words[5:9])
        access = AccessRecord(
            service=names.to_service(_word(words[1])),
            client=_word(words[2]),
            method=_text(words[14]),
            host=_text(words[15]),
            url=_text(words[16]),
            status=int(words[3]),
            at=int(words[4]) / 1e6,
            seconds=total / 1e3,
            has_cookie=words[13] not in (b"-", b"0"),
        )
    except ValueError as exc:
        raise NotALine(str(exc)) from exc
    waited = total if answered < 0 else max(queued, 0) + max(connected, 0) + answered
    return EdgeRecord(
        access,
        served=_word(words[10]),
        error=_word(words[11]),
        held=words[12] != b"-",
        wait=waited / 1e3,
    )
