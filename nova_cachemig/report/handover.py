"""The record of a handover: rows for a table, and a timeline as text."""

from __future__ import annotations

import datetime

from nova_cachemig.model.handover import HandoverRecord

SUMMARY_COLUMNS = (
    "Instance",
    "Request",
    "Started",
    "From",
    "To",
    "Phase",
    "Outcome",
    "Hits",
    "Held",
    "Writes",
    "Longest wait (s)",
)


def utc(at: float) -> str:
    """Return UNIX seconds as date and time in UTC."""
    return datetime.datetime.fromtimestamp(at, datetime.UTC).strftime("%Y-%m-%d %H:%M:%S")


def summary_row(record: HandoverRecord) -> tuple[str, ...]:
    """Return one row under :data:`SUMMARY_COLUMNS`, with a dash for unknown values."""
    counts = record.counts
    return (
        record.id.instance,
        record.id.request,
        utc(record.started),
        record.source or "-",
        record.destination or "-",
        record.phase.value,
        record.outcome.value if record.outcome else "-",
        str(counts.get("hits", "-")),
        str(counts.get("held", "-")),
        str(counts.get("writes", "-")),
        f"{record.longest_wait:.3f}" if counts else "-",
    )


def story(record: HandoverRecord) -> str:
    """One line per decision: seconds since the start, the phase, the sentence."""
    return "\n".join(
        f"{decision.at - record.started:+9.3f} s  {decision.phase.value:<12} {decision.sentence}"
        for decision in record.decisions
    )


def phase_times(record: HandoverRecord) -> dict[str, float]:
    """Phase → seconds since the start at which it was first reached."""
    times: dict[str, float] = {}
    for decision in record.decisions:
        times.setdefault(decision.phase.value, round(decision.at - record.started, 4))
    return times
