"""Results as a table for a terminal and as JSON."""

from __future__ import annotations

from typing import Any

COLUMNS = ("mae", "rmse", "coverage_80", "regret_mean", "regret_ci95", "top1")
HEADINGS = ("method", "MAE", "RMSE", "cover 80 %", "regret", "95 % interval", "best host")


def table(trace: str, scores: dict[str, dict[str, Any]], seeds: int) -> str:
    """Return one trace's results as a table, with loads in the unit of the trace."""
    rows = [HEADINGS] + [(method, *_cells(score)) for method, score in scores.items()]
    widths = [max(len(row[i]) for row in rows) for i in range(len(HEADINGS))]
    lines = [f"{trace}: {seeds} seeds"]
    for row in rows:
        cells = [row[0].ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        lines.append("  " + "  ".join(cells))
    best = scores.get("default", {}).get("vs_best")
    if best:
        low, high = best["diff_ci95"]
        lines.append(
            f"  default less {best['method']}: {best['diff_mean']:+.4f} [{low:+.4f}, {high:+.4f}]"
            f" ({verdict(low, high)})"
        )
        low, high = best["diff_ci95_days"]
        lines.append(f"    over the trace's {best['days']} days: [{low:+.4f}, {high:+.4f}]")
    return "\n".join(lines)


def verdict(low: float, high: float) -> str:
    """Return the meaning of an interval of the default's regret less another method's."""
    if high < 0:
        return "better"
    return "worse" if low > 0 else "no difference shown"


def _cells(score: dict[str, Any]) -> tuple[str, ...]:
    low, high = score["regret_ci95"]
    return (
        f"{score['mae']:.3f}",
        f"{score['rmse']:.3f}",
        f"{score['coverage_80']:.1%}",
        f"{score['regret_mean']:.4f}",
        f"[{low:.4f}, {high:.4f}]",
        f"{score['top1']:.1%}",
    )
