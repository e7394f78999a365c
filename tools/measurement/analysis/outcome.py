"""The outcome of one measured run: requests, probes, the check of the guest's log, events.

All times are seconds since the start of the run, by a monotonic clock. ``Run.began`` (UNIX seconds)
relates them to the clocks of other machines.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Final

WIRE_VERSION: Final = 1
READS: Final = frozenset({"GET", "HEAD"})
_DIGITS: Final = 5  # of a time on the wire: 10 µs


class RunError(ValueError):
    """The file of a run is damaged or has another version; the text says which."""


@dataclasses.dataclass(frozen=True, slots=True)
class Request:
    """One request of the load.

    ``scheduled``: when a user wanted the page; latency counts from here. ``sent``: when the
    generator began to connect or to write. ``done``: when the whole response had arrived, or the
    request had failed.
    """

    client: int
    method: str
    path: str
    scheduled: float
    sent: float
    done: float
    status: int  # 0: no response
    failed: bool
    hit: bool = False  # Cache-Status has a member with ``hit``
    storable: bool = False  # a shared cache may store and reuse the response
    error: str = ""
    applied: float | None = None  # a write with a 202: when the guest had responded, by the journal

    @property
    def responded(self) -> float:
        """When the guest had responded, as far as the run knows."""
        return self.done if self.applied is None else max(self.applied, self.sent)

    @property
    def latency(self) -> float:
        """Seconds from the scheduled instant to the end of the response."""
        return self.done - self.scheduled

    @property
    def is_read(self) -> bool:
        """Whether the method is safe."""
        return self.method in READS


@dataclasses.dataclass(frozen=True, slots=True)
class Probe:
    """One probe of the guest itself that got a response: when it was sent, when it ended (s)."""

    sent: float
    responded: float


@dataclasses.dataclass(frozen=True, slots=True)
class Audit:
    """The findings of the checker in the guest's log: numbers of writes or reads."""

    writes_acked: int
    writes_lost: int
    writes_doubled: int
    writes_reordered: int
    writes_reordered_per_client: int
    writes_altered: int
    stale_reads_after_write: int
    reads_checked: int
    findings: tuple[str, ...] = ()  # one sentence each, the first few of each kind


@dataclasses.dataclass(frozen=True, slots=True)
class Run:
    """One run of the load: a control (plain Nova) or a protected one."""

    case: str
    protected: bool
    began: float  # UNIX seconds
    duration: float  # seconds in which requests were scheduled
    rate: float  # requests per second, as planned
    requests: Sequence[Request]
    probes: Sequence[Probe] = ()
    probe_interval: float | None = None  # seconds; None: no probes
    audit: Audit | None = None
    phases: Mapping[str, float] = dataclasses.field(default_factory=dict)
    story: Sequence[tuple[float, str]] = ()  # the agent's decisions: since the start, sentence
    environment: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    settings: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    speed: Sequence[tuple[float, float]] = ()  # second of the run, CPU seconds of a piece of work

    def to_wire(self) -> dict[str, Any]:
        """Primitives, requests by column (a tenth of the size of one object a request)."""
        return {
            "version": WIRE_VERSION,
            "case": self.case,
            "protected": self.protected,
            "began": self.began,
            "duration": self.duration,
            "rate": self.rate,
            "requests": _columns(self.requests),
            "probes": [[_t(p.sent), _t(p.responded)] for p in self.probes],
            "probe_interval": self.probe_interval,
            "audit": dataclasses.asdict(self.audit) if self.audit else None,
            "phases": dict(self.phases),
            "story": [[at, sentence] for at, sentence in self.story],
            "environment": dict(self.environment),
            "settings": dict(self.settings),
            "speed": [[_t(at), round(took, 7)] for at, took in self.speed],
        }

    @classmethod
    def from_wire(cls, wire: Mapping[str, Any]) -> Run:
        """The inverse of :meth:`to_wire`; raises RunError."""
        if not isinstance(wire, Mapping) or wire.get("version") != WIRE_VERSION:
            raise RunError(f"not a run of version {WIRE_VERSION}")
        try:
            audit = wire["audit"]
            return cls(
                case=str(wire["case"]),
                protected=bool(wire["protected"]),
                began=float(wire["began"]),
                duration=float(wire["duration"]),
                rate=float(wire["rate"]),
                requests=_rows(wire["requests"]),
                probes=[Probe(float(sent), float(responded)) for sent, responded in wire["probes"]],
                probe_interval=wire["probe_interval"],
                audit=Audit(**audit | {"findings": tuple(audit["findings"])}) if audit else None,
                phases={str(k): float(v) for k, v in wire["phases"].items()},
                story=[(float(at), str(sentence)) for at, sentence in wire["story"]],
                environment=wire["environment"],
                settings=wire["settings"],
                speed=[(float(at), float(took)) for at, took in wire.get("speed", ())],
            )
        except (KeyError, TypeError, ValueError, AttributeError) as exc:
            raise RunError(f"damaged run: {exc!r}") from exc


_FIELDS: Final = tuple(field.name for field in dataclasses.fields(Request))
_TIMES: Final = frozenset({"scheduled", "sent", "done", "applied"})
_NAMES: Final = ("method", "path", "error")  # few different ones: a table and indices


def _t(value: float) -> float:
    return round(value, _DIGITS)


def _columns(requests: Sequence[Request]) -> dict[str, Any]:
    columns: dict[str, Any] = {}
    for name in _FIELDS:
        values = [getattr(request, name) for request in requests]
        if name in _TIMES:
            columns[name] = [None if value is None else _t(value) for value in values]
        elif name in _NAMES:
            table = {text: index for index, text in enumerate(dict.fromkeys(values))}
            columns[name] = {"names": list(table), "rows": [table[text] for text in values]}
        elif values and isinstance(values[0], bool):
            columns[name] = "".join("1" if value else "0" for value in values)
        else:
            columns[name] = values
    return columns


def _rows(columns: Mapping[str, Any]) -> list[Request]:
    lists: dict[str, list[Any]] = {}
    count = len(columns["sent"])
    for name in _FIELDS:
        # earlier files have no "applied"
        column = columns[name] if name != "applied" else columns.get(name, [None] * count)
        if name in _NAMES:
            lists[name] = [column["names"][index] for index in column["rows"]]
        elif isinstance(column, str):
            lists[name] = [bit == "1" for bit in column]
        else:
            lists[name] = list(column)
    return [Request(*row) for row in zip(*(lists[name] for name in _FIELDS), strict=True)]
