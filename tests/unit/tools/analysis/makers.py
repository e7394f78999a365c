"""Requests and runs for the tests of the analysis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tools.measurement.analysis.outcome import Audit, Probe, Request, Run

CLEAN = Audit(
    writes_acked=10,
    writes_lost=0,
    writes_doubled=0,
    writes_reordered=0,
    writes_reordered_per_client=0,
    writes_altered=0,
    stale_reads_after_write=0,
    reads_checked=5,
)


def read(at: float, wait: float = 0.005, **more: Any) -> Request:
    """A read of a storable page, scheduled ``at``, with a response after ``wait`` seconds."""
    fields: dict[str, Any] = {
        "client": 1,
        "method": "GET",
        "path": "/page/1",
        "scheduled": at,
        "sent": at,
        "done": at + wait,
        "status": 200,
        "failed": False,
        "storable": True,
    }
    return Request(**fields | more)


def write(at: float, wait: float = 0.005, **more: Any) -> Request:
    """A PUT of an item by another client."""
    return read(
        at, wait, **{"method": "PUT", "path": "/item/1", "client": 2, "storable": False} | more
    )


def probes(*silent: tuple[float, float], until: float = 10.0, step: float = 0.02) -> list[Probe]:
    """A probe each ``step`` seconds with an immediate response; none while the guest is silent."""
    instants = [n * step for n in range(round(until / step) + 1)]
    return [Probe(at, at + 0.001) for at in instants if not any(a <= at < b for a, b in silent)]


def run(
    requests: Sequence[Request] = (),
    *silent: tuple[float, float],
    protected: bool = False,
    case: str = "precopy-1s",
    **more: Any,
) -> Run:
    """A run of ten seconds whose guest was silent at those times."""
    fields: dict[str, Any] = {
        "case": case,
        "protected": protected,
        "began": 1_700_000_000.0,
        "duration": 10.0,
        "rate": 120.0,
        "requests": list(requests),
        "probes": probes(*silent),
        "probe_interval": 0.02,
        "audit": CLEAN,
    }
    return Run(**fields | more)
