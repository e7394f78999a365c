"""Judges a run: the share of prompt responses in the silence, and the faults. Pure."""

from __future__ import annotations

import collections
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from tests.sites.record import Exchange, Log, Silence

PROMPT = 0.1  # seconds, which users do not notice
BARS = {"safe": 60.0, "consent": 80.0}
"""Per cent of the requests in the silence that must be answered promptly."""

NEVER = ("lost", "doubled", "foreign", "old", "cut")
"""What must not happen."""

NOT_MORE = ("failed", "broken")
"""What must not happen more often than without us."""

FAULTS = NOT_MORE + NEVER

_SHOWN = 12  # sentences for each fault


def figures(log: Log, count: Callable[[str], int], missing: Sequence[str] = ()) -> dict[str, Any]:
    """Return the figures of one run.

    ``count``: how often the guest has applied a write. ``missing``: URLs that it does not have.
    """
    for one in log.exchanges:
        one.expected = one.status == 404 and one.url in missing
    for write in log.writes:
        write.applied = count(write.marker)
    lost = [one for one in log.writes if one.acknowledged and one.applied == 0]
    doubled = [one for one in log.writes if one.applied > 1]
    failed = [one for one in log.exchanges if is_failed(one)]
    cut = [one for one in log.exchanges if one.cut]
    sentences = {
        "failed": [_sentence(one, log.silences) for one in failed],
        "cut": [_sentence(one, log.silences) for one in cut],
        "lost": [f"{one.user}: {one.url}: {one.marker}" for one in lost],
        "doubled": [f"{one.user}: {one.url}: {one.marker}, {one.applied} times" for one in doubled],
        "foreign": log.foreign,
        "old": log.old,
        "broken": log.broken,
    }
    return {
        "requests": len(log.exchanges),
        "writes": len(log.writes),
        "writes_acknowledged": sum(one.acknowledged for one in log.writes),
        "silences": [_in_silence(log.exchanges, silence) for silence in log.silences],
        **_share(in_silences(log.exchanges, log.silences)),
        "cached_percent": _percent(_cached(log.exchanges, log.silences)),
        **_held(log.exchanges, log.silences),
        **{name: len(sentences[name]) for name in FAULTS},
        "findings": {name: found[:_SHOWN] for name, found in sentences.items() if found},
    }


def faults(row: dict[str, Any], control: dict[str, Any] | None) -> list[str]:
    """Return the faults of a mode. ``control``: the figures of the mode ``without``."""
    if row["mode"] == "without":
        wrong = [name for name in NEVER if name != "cut" and row[name]]
        return [f"the harness is wrong: {row[name]} {name}" for name in wrong]
    found = [f"{row[name]} {name}" for name in NEVER if row[name]]
    found += [
        f"{row[name]} {name}, without us {control[name] if control else 0}"
        for name in NOT_MORE
        if row[name] > (control[name] if control else 0)
    ]
    bar = BARS[row["mode"]]
    if row["prompt_percent"] < bar:
        found.append(f"{row['prompt_percent']:.0f} % of the requests answered, not {bar:.0f} %")
    if control is not None and (row["held_p99"] or 0) > 2 * (control["held_p99"] or 0) + 1:
        found.append("held requests wait longer than without us")
    return found


def is_failed(exchange: Exchange) -> bool:
    """Return whether the user got an error, or nothing."""
    if exchange.abandoned or exchange.expected:
        return False
    return exchange.status == 0 or bool(exchange.error) or exchange.status >= 400


def is_prompt(exchange: Exchange) -> bool:
    """Return whether the user got the response without noticing a wait."""
    return not is_failed(exchange) and exchange.end > 0 and exchange.took < PROMPT


def in_silences(exchanges: Iterable[Exchange], silences: Sequence[Silence]) -> list[Exchange]:
    """Return the requests that users sent while the guest was silent."""
    return [
        one
        for one in exchanges
        if any(silence.start <= one.start < silence.end for silence in silences)
        and not (one.abandoned and one.took < PROMPT)
    ]


def _share(inside: Sequence[Exchange]) -> dict[str, Any]:
    kinds: dict[str, list[bool]] = collections.defaultdict(list)
    for one in inside:
        kinds[one.kind].append(is_prompt(one))
        kinds[f"in the {one.source}"].append(is_prompt(one))
    return {
        "silent_requests": len(inside),
        "prompt_percent": _percent([is_prompt(one) for one in inside]),
        "by_kind": {
            kind: {"requests": len(found), "prompt_percent": _percent(found)}
            for kind, found in sorted(kinds.items())
        },
    }


def _in_silence(exchanges: Sequence[Exchange], silence: Silence) -> dict[str, Any]:
    return {
        "seconds": round(silence.seconds, 2),
        **_share(in_silences(exchanges, [silence])),
        **_held(exchanges, [silence]),
    }


def _held(exchanges: Sequence[Exchange], silences: Sequence[Silence]) -> dict[str, Any]:
    """Return the waits of those that were not prompt, from the guest's return on."""
    waits = sorted(
        max(0.0, one.end - silence.end)
        for silence in silences
        for one in in_silences(exchanges, [silence])
        if not is_failed(one) and not is_prompt(one)
    )
    return {
        "held": len(waits),
        "held_p50": _quantile(waits, 0.5),
        "held_p99": _quantile(waits, 0.99),
    }


def _cached(exchanges: Sequence[Exchange], silences: Sequence[Silence]) -> list[bool]:
    """Return for each request of the silences whether the cache has responded before their end."""
    return [
        not is_failed(one) and "hit" in one.cache and 0 < one.end <= silence.end
        for silence in silences
        for one in in_silences(exchanges, [silence])
    ]


def _percent(found: Sequence[bool]) -> float:
    return round(100 * sum(found) / len(found), 1) if found else 0.0


def _quantile(ordered: Sequence[float], share: float) -> float | None:
    if not ordered:
        return None
    return round(ordered[min(len(ordered) - 1, math.ceil(share * len(ordered)) - 1)], 3)


def _sentence(one: Exchange, silences: Sequence[Silence]) -> str:
    when = ""
    for number, silence in enumerate(silences, 1):
        if one.start >= silence.start - 5:
            when = f" {one.start - silence.start:+.2f} s after the start of silence {number}"
    what = one.error or one.status or "no response"
    return f"{one.user} ({one.source}): {one.method} {one.url}: {what}, {one.took:.2f} s{when}"
