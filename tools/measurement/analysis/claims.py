"""The bars that each protected run and its control must meet."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from tools.measurement.analysis.speed import BUSY

Figures = Mapping[str, Any]

HIT_MS: Final = 50.0
HELD_MS: Final = 150.0
IN_FLIGHT_MS: Final = 300.0
LATE_SHARE: Final = 0.01  # of the control's late time
RATE: Final = 100.0  # requests per second, less 2 % for the variance of Poisson arrivals
_CHANCE: Final = 0.98


@dataclasses.dataclass(frozen=True, slots=True)
class Claim:
    """One bar for one case. ``measured`` is None where nothing could be measured.

    ``busy``: the bar limits a time, it was missed, and the machine was too slow to judge the miss.
    Such a claim does not hold, but it did not fail either.
    """

    case: str
    name: str
    required: str
    measured: float | int | None
    unit: str
    ok: bool
    busy: bool = False

    def to_wire(self) -> dict[str, Any]:
        """Primitives, as in ``result.json``."""
        return dataclasses.asdict(self)


def claims(runs: Sequence[Figures]) -> list[Claim]:
    """All bars of all cases, in order; a case without a protected run has none."""
    out: list[Claim] = []
    for case in dict.fromkeys(figures["case"] for figures in runs):
        of_case = [figures for figures in runs if figures["case"] == case]
        control = next((f for f in of_case if not f["protected"]), None)
        for protected in (f for f in of_case if f["protected"]):
            stall = float(control["stall_ms"] or 0.0) if control else 0.0
            out += _load(protected) + _safety(protected) + _waits(protected, stall)
            out += _drain(protected)
            if control:
                out += _against(control, protected)
        if control and any(f["protected"] for f in of_case):
            out += _control(control)
    return out


def _at_most(  # one upper limit, in ms
    figures: Figures,
    key: str,
    name: str,
    limit: float,
    *,
    null_ok: bool,
    why: str = "",
) -> Claim:
    measured = figures[key]
    ok = null_ok if measured is None else measured <= limit
    required = f"≤ {limit:g}{why}"
    return Claim(figures["case"], name, required, measured, "ms", ok, _busy(figures, ok))


def _slowdown(figures: Figures) -> float:
    """The slowdown of the machine; 1 if it was not measured."""
    return float(figures.get("machine_slowdown") or 1.0)


def _busy(figures: Figures, ok: bool) -> bool:
    """Whether a bar of time was missed while the machine was too slow to judge the miss."""
    whole = float(figures.get("machine_slowdown_run") or 1.0)
    return not ok and max(whole, _slowdown(figures)) > BUSY


def _load(figures: Figures) -> list[Claim]:
    rate = figures["rate_per_s"]
    ok = rate is not None and rate >= RATE * _CHANCE
    return [Claim(figures["case"], "load", f"≥ {RATE:g}", rate, "requests/s", ok)]


def _safety(figures: Figures) -> list[Claim]:
    names = {
        "failed": "failed requests",
        "writes_lost": "writes lost",
        "writes_doubled": "writes doubled",
        "writes_reordered": "writes reordered",
        "stale_reads_after_write": "reads older than an accepted write",
    }
    case = figures["case"]
    return [
        Claim(case, name, "0", figures[key], "", figures[key] == 0) for key, name in names.items()
    ]


def _waits(figures: Figures, stall: float) -> list[Claim]:
    """``stall``: ms in which the control's guest, back from its blackout, does not respond yet."""
    hit = figures["hit_p99_ms"]
    fast = hit is not None and hit < HIT_MS
    slowdown = min(_slowdown(figures), BUSY)
    twice = figures["blackout_s"] * 1000 + IN_FLIGHT_MS
    return [
        Claim(
            figures["case"],
            "hits during the blackout, p99",
            f"< {HIT_MS:g}",
            hit,
            "ms",
            fast,
            _busy(figures, fast),
        ),
        _at_most(
            figures,
            "held_overrun_p99_ms",
            "held requests past the end of the blackout, p99",
            round(HELD_MS * slowdown + stall, 1),
            null_ok=False,
            why=f" ({HELD_MS:g} × {slowdown:.2f}, the machine's slowdown,"  # noqa: RUF001
            f" + {stall:g}, the control's stall)",
        ),
        _at_most(
            figures,
            "inflight_read_overrun_max_ms",
            "reads in flight at the pause, past its end, max",
            IN_FLIGHT_MS,
            null_ok=True,  # none was in flight
        ),
        _at_most(
            figures,
            "inflight_write_overrun_max_ms",
            "writes in flight at the pause, past its end, max (blackout + 300 ms)",
            round(twice, 1),
            null_ok=True,
        ),
    ]


def _drain(figures: Figures) -> list[Claim]:
    """Claims of a case that is named for thousands of waiting writes (``drain-10k``)."""
    wanted = re.match(r"drain-(\d+)k$", figures["case"])
    if not wanted:
        return []
    case, least = figures["case"], int(wanted[1]) * 1000
    most, seconds = figures["depth_max"], figures["drained_s"]
    unresolved, new = figures["writes_accepted_unresolved"], figures["writes_during_drain"]
    return [
        Claim(case, "writes waiting at a time, maximum", f"≥ {least}", most, "", most >= least),
        Claim(case, "until all of them were applied", "an end", seconds, "s", seconds is not None),
        Claim(case, "new writes meanwhile", "≥ 1", new, "", bool(new)),
        Claim(case, "accepted writes without a known end", "0", unresolved, "", unresolved == 0),
    ]


def _late(figures: Figures) -> float:
    """Late time of the migration, in seconds; of the whole run if it knows no migration.

    A busy machine also delays requests while nothing migrates.
    """
    inside = figures["late_cacheable_during_migration_s"]
    return float(figures["late_cacheable_s"] if inside is None else inside)


def _against(control: Figures, protected: Figures) -> list[Claim]:
    without, late = _late(control), _late(protected)
    limit = round(without * LATE_SHARE, 4)
    # A control without late time proves nothing, unless the protected run has none either.
    ok = late <= limit
    return [
        Claim(
            protected["case"],
            "time in which a client waited > 100 ms for a cacheable page",
            f"≤ {limit:g} (1 % of the control's {without:g})",
            late,
            "s",
            ok,
            _busy(protected, ok),
        )
    ]


def _control(control: Figures) -> list[Claim]:
    wanted = re.search(r"-(\d+(?:\.\d+)?)s$", control["case"])
    if not wanted:
        return []
    seconds = float(wanted[1])
    blackout = control["blackout_s"]
    return [
        Claim(
            control["case"],
            "blackout of the control",
            f"≥ {seconds:g}",
            blackout,
            "s",
            blackout >= seconds,
        )
    ]
