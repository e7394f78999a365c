"""A plot of a ranking: history, forecast and quantiles of the first hosts.

matplotlib is imported when a plot is drawn, so that the daemon does not load it. The suffix of the
file selects the format (png, svg, pdf).
"""

from __future__ import annotations

import datetime
import math
from pathlib import Path
from typing import Any

SHADES = ((0.05, 0.95, 0.15), (0.1, 0.9, 0.2), (0.25, 0.75, 0.3))
"""Lower level, upper level and opacity of each band."""


def draw(response: dict[str, Any], path: Path) -> None:
    """Draw the response of ``rank`` to a file; raises OSError, ValueError or ImportError."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = [row for row in response["hosts"] if row["host"] in response["histories"]]
    if not rows:
        raise ValueError("no host has a forecast")
    figure = Figure(figsize=(10, 1.2 + 2.1 * len(rows)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(len(rows), 1, sharex=True, sharey=True, squeeze=False)[:, 0]
    made = datetime.datetime.fromtimestamp(response["made_at"], datetime.UTC)
    end = made + datetime.timedelta(seconds=response["horizon"])
    for number, (axis, row) in enumerate(zip(axes, rows, strict=True), 1):
        _host(axis, response, row, made, end)
        place = "source" if row["source"] else f"{number}."
        axis.set_title(
            f"{place} {row['host']}: {row['mean']:.1f} expected, {row['total']:.1f} "
            f"{'without' if row['source'] else 'with'} the instance",
            loc="left",
            fontsize=10,
        )
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", fontsize=8, ncols=len(labels))
    axes[-1].set_xlabel("UTC")
    figure.suptitle(
        f"Where instance {response['instance']} would go "
        f"({response['metric']}, next {response['horizon'] / 60:.0f} minutes, {response['method']})"
    )
    figure.savefig(path)


def _host(
    axis: Any,
    response: dict[str, Any],
    row: dict[str, Any],
    made: datetime.datetime,
    end: datetime.datetime,
) -> None:
    history = response["histories"][row["host"]]
    times = [datetime.datetime.fromtimestamp(at, datetime.UTC) for at, _ in history]
    loads = [math.nan if load is None else load for _, load in history]
    axis.plot(times, loads, color="0.3", linewidth=0.9, label="history")
    levels, quantiles = response["levels"], response["quantiles"][row["host"]]
    for low, high, opacity in SHADES:
        if low in levels and high in levels:
            axis.fill_between(
                [made, end],
                quantiles[levels.index(low)],
                quantiles[levels.index(high)],
                color="tab:blue",
                alpha=opacity,
                linewidth=0,
                label=f"{100 * (high - low):.0f} %",
            )
    axis.plot([made, end], [row["mean"]] * 2, color="tab:blue", linewidth=2, label="forecast")
    axis.plot(
        [made, end],
        [row["total"]] * 2,
        color="tab:red",
        linewidth=1,
        linestyle="--",
        label="after the move",
    )
    axis.axvline(made, color="0.6", linewidth=0.7)
    axis.set_ylim(bottom=0)
    axis.grid(alpha=0.3)
