"""The table on the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

# heading, key of the figure, decimals (None: unformatted)
COLUMNS: Final[tuple[tuple[str, str, int | None], ...]] = (
    ("requests", "requests", None),
    ("failed", "failed", None),
    ("writes", "writes_acked", None),
    ("lost", "writes_lost", None),
    ("doubled", "writes_doubled", None),
    ("reordered", "writes_reordered", None),
    ("stale", "stale_reads_after_write", None),
    ("blackout s", "blackout_s", 2),
    ("hit p99 ms", "hit_p99_ms", 1),
    ("held p99 +ms", "held_overrun_p99_ms", 0),
    ("in-fl. read +ms", "inflight_read_overrun_max_ms", 0),
    ("in-fl. write +ms", "inflight_write_overrun_max_ms", 0),
    ("late s", "late_cacheable_s", 2),
    ("rewritten s", "late_rewritten_s", 2),
    ("waiting", "depth_max", None),
    ("drained s", "drained_s", 1),
    ("slowdown", "machine_slowdown", 2),
)
LEGEND: Final = (
    "held, in-fl.: time from the end of the blackout to the response; "
    "late: time in which a client waited > 100 ms for a cacheable page; rewritten: the same for a "
    "page to which a write came too shortly before the pause for another fetch; waiting: "
    "maximum number of writes; drained: after the blackout, until only the usual number waited; "
    "slowdown: of the machine, at the guest's return"
)


def cell(value: Any, decimals: int | None) -> str:
    """One figure as text; a dash where it does not apply."""
    if value is None:
        return "\N{EN DASH}"
    return str(value) if decimals is None else f"{value:,.{decimals}f}"


def rule(rows: Sequence[Sequence[str]], left: int) -> list[str]:
    """Rows as lines with aligned columns; the first ``left`` columns are flush left."""
    widths = [max(len(text) for text in column) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            text.ljust(width) if index < left else text.rjust(width)
            for index, (text, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def table(result: Mapping[str, Any]) -> str:
    """The figures of all runs, then all claims, as text."""
    rows = [["case", "run", *(heading for heading, _, _ in COLUMNS)]]
    rows += [
        [
            figures["case"],
            "with" if figures["protected"] else "without",
            *(cell(figures[key], decimals) for _, key, decimals in COLUMNS),
        ]
        for figures in result["runs"]
    ]
    lines = [*rule(rows, 2), "", LEGEND]
    if result["claims"]:
        verdict = {True: "busy", False: "FAILED"}
        bars = [["", "case", "claim", "required", "measured"]]
        bars += [
            [
                "ok" if claim["ok"] else verdict[claim["busy"]],
                claim["case"],
                claim["name"],
                f"{claim['required']} {claim['unit']}".rstrip(),
                cell(claim["measured"], None),
            ]
            for claim in result["claims"]
        ]
        lines += ["", *rule(bars, 4)]
    return "\n".join(lines) + "\n"
