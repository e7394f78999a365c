"""The exchanges and the writes of one run. Data only."""

from __future__ import annotations

import dataclasses
import uuid
from dataclasses import dataclass, field


@dataclass
class Exchange:
    """One request and its response. Times are of the monotonic clock.

    ``status``: 0 without a response. ``error``: why it is incomplete. ``source``: "load" or
    "browser". ``cache``: the response's Cache-Status.
    """

    user: str
    source: str
    kind: str
    method: str
    url: str
    start: float
    end: float = 0.0
    status: int = 0
    error: str = ""
    cut: bool = False
    cache: str = ""
    abandoned: bool = False
    expected: bool = False

    @property
    def took(self) -> float:
        """Seconds until the last byte."""
        return self.end - self.start


@dataclass
class Write:
    """A write that one user made: ``marker`` is in it and in no other."""

    user: str
    marker: str
    url: str
    acknowledged: bool = False
    applied: int = 0


@dataclass
class Silence:
    """The guest is silent from ``start`` to ``end``."""

    start: float
    end: float

    @property
    def seconds(self) -> float:
        """Its length."""
        return self.end - self.start


@dataclass
class Log:
    """All that happened in one run. ``foreign``, ``old``: sentences about faults."""

    exchanges: list[Exchange] = field(default_factory=list)
    writes: list[Write] = field(default_factory=list)
    silences: list[Silence] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)
    old: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    sessions: dict[str, str] = field(default_factory=dict)
    """Each value of a session's cookie → the user who got it."""

    ending: bool = False
    """The visitors are to leave."""

    def new_write(self, user: str, url: str) -> Write:
        """Note a write that is about to be sent."""
        write = Write(user, f"marker-{uuid.uuid4().hex}", url)
        self.writes.append(write)
        return write

    def as_dict(self) -> dict[str, object]:
        """Return it for JSON."""
        return dataclasses.asdict(self)
