"""The behaviour of a guest: it follows from the seed, the write, and the number of the try."""

from __future__ import annotations

import dataclasses
import enum
import random


class Way(enum.StrEnum):
    """How the guest handles one write."""

    PLAIN = "plain"
    SLOW = "slow"  # takes its time before it applies the write
    LATE = "late"  # takes its time before it responds
    POLL = "poll"  # as long polling does: responds after up to 1.5 s
    CLOSE = "close"  # Connection: close
    ABRUPT = "abrupt"  # closes the connection after the response without announcing it
    OLD = "old"  # HTTP/1.0: the end of the connection ends the body
    DIE_BEFORE = "die-before"  # its worker dies before it applies the write
    DIE_AFTER = "die-after"  # its worker dies before it responds
    RESET = "reset"  # the same, with RST
    CUT = "cut"  # its worker dies in the middle of the response
    DRIP = "drip"  # sends the response byte by byte
    ENDLESS = "endless"  # drips for longer than [journal] response_time
    ERROR = "error"  # 500; half of these writes are applied
    UNAVAILABLE = "unavailable"  # its own 503: not applied
    BUSY = "busy"  # 409 with Retry-After: not applied
    BIG = "big"  # a large response
    HUGE = "huge"  # a response above [journal] max_response
    GARBAGE = "garbage"  # applies the write, and sends something that is not HTTP
    EARLY = "early"  # 413 before it has read the body, then it closes
    INTERIM = "interim"  # 103 before the response
    TRAILERS = "trailers"  # a chunked response with trailers
    BARE = "bare"  # 204


_WEIGHTS: dict[Way, float] = {
    Way.PLAIN: 650,
    Way.SLOW: 80,
    Way.LATE: 50,
    Way.POLL: 3,
    Way.CLOSE: 50,
    Way.ABRUPT: 15,
    Way.OLD: 30,
    Way.DIE_BEFORE: 8,
    Way.DIE_AFTER: 8,
    Way.RESET: 6,
    Way.CUT: 6,
    Way.DRIP: 4,
    Way.ENDLESS: 0.7,
    Way.ERROR: 30,
    Way.UNAVAILABLE: 10,
    Way.BUSY: 2,
    Way.BIG: 10,
    Way.HUGE: 2,
    Way.GARBAGE: 4,
    Way.EARLY: 4,
    Way.INTERIM: 10,
    Way.TRAILERS: 10,
    Way.BARE: 20,
}
BEFORE_CLOSE = frozenset(
    {Way.CLOSE, Way.ABRUPT, Way.OLD, Way.DIE_BEFORE, Way.DIE_AFTER, Way.RESET, Way.CUT, Way.ENDLESS,
     Way.GARBAGE, Way.EARLY}
)  # fmt: skip
"""After these ways the connection is closed."""


@dataclasses.dataclass(frozen=True, slots=True)
class Behaviour:
    """``seconds``: of a way that takes time. ``applies``: whether the write changes anything."""

    way: Way
    seconds: float = 0.0
    applies: bool = True


_SECONDS: dict[Way, tuple[float, float]] = {
    Way.SLOW: (0.002, 0.04),
    Way.LATE: (0.002, 0.06),
    Way.POLL: (0.3, 1.5),
    Way.DRIP: (0.2, 1.0),
    Way.ENDLESS: (5.0, 5.0),
}
_NEVER_APPLIES = {Way.DIE_BEFORE, Way.UNAVAILABLE, Way.BUSY, Way.EARLY}


def behaviour(seed: int, write: str, number: int, without: frozenset[str]) -> Behaviour:
    """Return what the guest does when it gets a write for the ``number``-th time."""
    draw = random.Random(f"{seed}:{write}:{number}")
    ways = list(_WEIGHTS)
    way = draw.choices(ways, [_WEIGHTS[way] for way in ways])[0]
    if way.value in without:
        return Behaviour(Way.PLAIN)
    applies = way not in _NEVER_APPLIES and not (way is Way.ERROR and draw.random() < 0.5)
    return Behaviour(way, draw.uniform(*_SECONDS.get(way, (0.0, 0.0))), applies)
