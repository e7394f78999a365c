"""One handover: its identity, its decisions and its outcome."""

from __future__ import annotations

import dataclasses
import enum
from typing import Any, Final

from nova_cachemig.model.phase import Phase

_UNANNOUNCED: Final = "unannounced-"


@dataclasses.dataclass(frozen=True, slots=True)
class HandoverId:
    """Instance UUID and Nova's request ID (``req-…``), which differs for each migration."""

    instance: str
    request: str

    @classmethod
    def unannounced(cls, instance: str, at: float) -> HandoverId:
        """Of a migration whose request id is not known yet; ``at``: UNIX seconds."""
        return cls(instance, f"{_UNANNOUNCED}{at:.3f}")

    @property
    def announced(self) -> bool:
        """Whether :attr:`request` is Nova's."""
        return not self.request.startswith(_UNANNOUNCED)

    def __str__(self) -> str:
        return f"{self.instance}/{self.request}"


class OutcomeKind(enum.StrEnum):
    """How a handover ended."""

    COMPLETED = "completed"
    ROLLED_BACK = "rolled_back"
    ABANDONED = "abandoned"  # no event reported the end of the migration, and Nova does not know it


@dataclasses.dataclass(frozen=True, slots=True)
class Decision:
    """One sentence, with its time (UNIX seconds) and the phase that it led to."""

    at: float
    phase: Phase
    sentence: str


@dataclasses.dataclass(frozen=True, slots=True)
class HandoverRecord:
    """The record of one handover, as stored on disk and shown to the operator.

    ``counts`` are integers by name (hits, misses, held, writes, replayed, warmed, in_doubt);
    ``longest_wait`` is in seconds. ``effects``: service → what its policy and the warming did.
    """

    id: HandoverId
    services: tuple[str, ...]
    source: str | None
    destination: str | None
    phase: Phase
    started: float
    ended: float | None = None
    outcome: OutcomeKind | None = None
    decisions: tuple[Decision, ...] = ()
    counts: dict[str, int] = dataclasses.field(default_factory=dict)
    longest_wait: float = 0.0
    effects: dict[str, dict[str, Any]] = dataclasses.field(default_factory=dict)

    def to_wire(self) -> dict[str, Any]:
        """Return primitives only, for RPC, the disk and ``--json``."""
        wire = dataclasses.asdict(self)
        wire["phase"] = self.phase.value
        wire["outcome"] = self.outcome.value if self.outcome else None
        wire["services"] = list(self.services)
        wire["decisions"] = [[d.at, d.phase.value, d.sentence] for d in self.decisions]
        return wire

    @classmethod
    def from_wire(cls, wire: dict[str, Any]) -> HandoverRecord:
        """Parse the output of :meth:`to_wire`; raises KeyError, TypeError or ValueError."""
        decisions = tuple(
            Decision(float(at), Phase(phase), str(sentence))
            for at, phase, sentence in wire["decisions"]
        )
        return cls(
            id=HandoverId(**wire["id"]),
            services=tuple(wire["services"]),
            source=wire["source"],
            destination=wire["destination"],
            phase=Phase(wire["phase"]),
            started=float(wire["started"]),
            ended=wire["ended"],
            outcome=OutcomeKind(wire["outcome"]) if wire["outcome"] else None,
            decisions=decisions,
            counts={str(k): int(v) for k, v in wire["counts"].items()},
            longest_wait=float(wire["longest_wait"]),
            effects=dict(wire.get("effects", {})),
        )
