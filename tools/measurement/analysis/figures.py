"""The figures of one run, by their names in ``result.json``."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any

from tools.measurement.analysis import late, speed
from tools.measurement.analysis.blackout import Blackout, blackouts, longest, stall
from tools.measurement.analysis.depth import depth_figures
from tools.measurement.analysis.outcome import Request, Run
from tools.measurement.analysis.quantile import quantile
from tools.measurement.analysis.rewritten import Rewritten


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 2)


@dataclasses.dataclass(frozen=True, slots=True)
class Sorted:
    """A run's requests by the way in which they met a blackout; each with its overrun.

    The overrun is the time from the end of that blackout to the response, in seconds.
    """

    hits: tuple[Request, ...]  # arrived during a blackout, response from the cache
    held: tuple[tuple[Request, float], ...]  # arrived during a blackout, not a hit
    in_flight: tuple[tuple[Request, float], ...]  # sent before a blackout, no response yet

    def overruns(self, *, reads: bool) -> list[float]:
        """The overruns of requests in flight: of the reads, or of the writes."""
        return [over for request, over in self.in_flight if request.is_read == reads]


def sort(requests: Sequence[Request], found: Sequence[Blackout]) -> Sorted:
    """Find the hits, the held and the in-flight requests; leave out those that met no blackout."""
    hits: list[Request] = []
    held: list[tuple[Request, float]] = []
    in_flight: list[tuple[Request, float]] = []
    for request in requests:
        for gap in found:
            if gap.covers(request.scheduled):
                if request.hit and not request.failed:
                    hits.append(request)
                else:
                    held.append((request, request.done - gap.end))
                break
            if request.scheduled < gap.start < request.done and not request.hit:
                in_flight.append((request, request.done - gap.end))
                break
    return Sorted(tuple(hits), tuple(held), tuple(in_flight))


def _audit(run: Run) -> dict[str, Any]:
    names = (
        "writes_acked",
        "writes_lost",
        "writes_doubled",
        "writes_reordered",
        "writes_reordered_per_client",
        "writes_altered",
        "stale_reads_after_write",
        "reads_checked",
    )
    return {name: getattr(run.audit, name) if run.audit else None for name in names}


def _latencies(requests: Sequence[Request]) -> dict[str, Any]:
    reads = [r.latency for r in requests if r.is_read]
    writes = [r.latency for r in requests if not r.is_read]
    out: dict[str, Any] = {}
    for name, values in (("read", reads), ("write", writes)):
        out[f"{name}_p50_ms"] = _ms(quantile(values, 0.5))
        out[f"{name}_p99_ms"] = _ms(quantile(values, 0.99))
        out[f"{name}_max_ms"] = _ms(max(values, default=None))
    return out


def _migration(run: Run) -> tuple[float, float] | None:
    """From the order to migrate to the end of the migration, if the run knows both."""
    start, end = run.phases.get("migrate"), run.phases.get("completed")
    return None if start is None or end is None else (start, end)


def _late(run: Run, found: Sequence[Blackout], paths: frozenset[str]) -> dict[str, Any]:
    rewritten = Rewritten(run.requests, found, run.probe_interval or 0.0)
    requests: list[Request] = []
    excused: list[Request] = []
    for request in late.cacheable(run.requests, paths):
        (excused if rewritten.excuses(request) else requests).append(request)
    slowdown = speed.LocalSlowdown(run.speed)
    intervals = late.late_intervals(requests, slowdown)
    span = _migration(run)
    total = late.length(intervals)
    inside = late.length(late.within(intervals, *span)) if span else None
    return {
        "late_cacheable_s": round(total, 3),
        "late_cacheable_during_migration_s": None if inside is None else round(inside, 3),
        "late_unscaled_s": round(late.length(late.late_intervals(requests)), 3),
        "late_rewritten_s": round(late.length(late.late_intervals(excused, slowdown)), 3),
        "rewritten_requests": len(excused),
        "cacheable_requests": len(requests),
        "cacheable_max_ms": _ms(max((r.latency for r in requests), default=None)),
    }


def _arrivals(requests: Sequence[Request], met: Sorted) -> dict[str, Any]:
    return {
        "hits": sum(r.hit for r in requests),
        "hits_during_blackout": len(met.hits),
        "held": len(met.held),
        "held_reads": sum(r.is_read for r, _ in met.held),
        "held_writes": sum(not r.is_read for r, _ in met.held),
        "in_flight_reads": len(met.overruns(reads=True)),
        "in_flight_writes": len(met.overruns(reads=False)),
        "hit_p99_ms": _ms(quantile((r.latency for r in met.hits), 0.99)),
        "hit_max_ms": _ms(max((r.latency for r in met.hits), default=None)),
        "held_overrun_p99_ms": _ms(quantile((over for _, over in met.held), 0.99)),
        "held_overrun_max_ms": _ms(max((over for _, over in met.held), default=None)),
        "inflight_read_overrun_max_ms": _ms(max(met.overruns(reads=True), default=None)),
        "inflight_write_overrun_max_ms": _ms(max(met.overruns(reads=False), default=None)),
    }


def figures(run: Run, paths: frozenset[str]) -> dict[str, Any]:
    """All figures of one run; None where a figure does not apply.

    ``paths`` are the cacheable paths: :func:`late.cacheable_paths` of all runs.
    """
    found = blackouts(run)
    main = longest(found)
    requests = run.requests
    writes = [r for r in requests if not r.is_read]
    return {
        "case": run.case,
        "protected": run.protected,
        "requests": len(requests),
        "failed": sum(r.failed for r in requests),
        **_audit(run),
        "blackout_s": round(main.seconds, 3) if main else 0.0,
        "stall_ms": _ms(stall(run.probes, main.end)) if main else 0.0,
        "blackouts": [[round(gap.start, 3), round(gap.end, 3)] for gap in found],
        **_arrivals(requests, sort(requests, found)),
        **_late(run, found, paths),
        "phases": {name: round(at, 3) for name, at in run.phases.items()},
        "reads": len(requests) - len(writes),
        "writes": len(writes),
        "duration_s": round(run.duration, 3),
        "rate_per_s": round(len(requests) / run.duration, 1) if run.duration else None,
        **_latencies(requests),
        "generator_lag_p99_ms": _ms(quantile((r.sent - r.scheduled for r in requests), 0.99)),
        "probe_interval_s": run.probe_interval,
        **_machine(run, found),
        **depth_figures(requests, main),
        "errors": _errors(requests),
        "findings": list(run.audit.findings) if run.audit else [],
    }


def _machine(run: Run, found: Sequence[Blackout]) -> dict[str, Any]:
    """How slow and how busy the machine was.

    The bars use the slowdown at the guest's return: from the time when the guest runs again until
    it has processed the held requests.
    """
    spans = [(gap.end - speed.RETURN, gap.end + speed.RETURN) for gap in found]
    returns = speed.slowdown(run.speed, spans)
    whole = speed.slowdown(run.speed, [(0.0, run.duration)])
    return {
        "machine_slowdown": None if returns is None else round(returns, 3),
        "machine_slowdown_run": None if whole is None else round(whole, 3),
        "cpu_pressure": run.environment.get("cpu_pressure"),
    }


def _errors(requests: Iterable[Request]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for request in requests:
        if request.failed:
            what = request.error or f"status {request.status}"
            counts[what] = counts.get(what, 0) + 1
    return counts
