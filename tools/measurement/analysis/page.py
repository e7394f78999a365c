"""The page: one self-contained HTML file, with the control beside the protected run."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Final

import jinja2
import markupsafe

from tools.measurement.analysis.blackout import Blackout, blackouts, longest
from tools.measurement.analysis.chart import KINDS, Depth, View, chart
from tools.measurement.analysis.depth import Steps, drained, steps
from tools.measurement.analysis.figures import sort
from tools.measurement.analysis.outcome import Run
from tools.measurement.analysis.table import COLUMNS, LEGEND, cell

_WIDTH: Final = 640


@dataclasses.dataclass(frozen=True, slots=True)
class Panel:
    """One run on the page."""

    run: Run
    figures: Mapping[str, Any]
    near: markupsafe.Markup | None  # around the blackout; None if the run has none
    whole: markupsafe.Markup


@dataclasses.dataclass(frozen=True, slots=True)
class _Shown:
    """A run with its blackouts and the origin of its time axis."""

    run: Run
    found: list[Blackout]
    steps: Steps  # of the waiting writes

    @property
    def main(self) -> Blackout | None:
        return longest(self.found)

    @property
    def origin(self) -> float:
        return self.main.start if self.main else 0.0

    @property
    def drained(self) -> float | None:
        """When only the usual number of writes waited again."""
        after = drained(self.steps, self.main) if self.main else None
        return self.main.end + after if self.main and after else None

    def until(self) -> float:
        """When the last request that met the blackout was done, relative to the pause."""
        if not self.main:
            return 0.0
        met = sort(self.run.requests, [self.main])
        ends = [r.responded for r, _ in (*met.held, *met.in_flight)]
        return max([*ends, self.main.end, self.drained or 0.0]) - self.origin


def _slowest(shown: Sequence[_Shown]) -> float:
    worst = max((r.latency for one in shown for r in one.run.requests), default=0.0)
    return max(1.5, worst * 1.4)


def _near(shown: Sequence[_Shown]) -> View | None:
    """The same span for all runs of a case: the blackout and its aftermath."""
    gaps = [one.main for one in shown if one.main]
    if not gaps:
        return None
    size = max(gap.seconds for gap in gaps)
    after = min(max(one.until() for one in shown), 4 * size + 5)
    margin = max(0.5, 0.4 * size)
    return View(-margin, after + margin, _slowest(shown), _WIDTH, 420, 80, detail=True)


def _whole(shown: Sequence[_Shown]) -> View:
    start = min(-one.origin for one in shown)
    end = max(
        max([one.run.duration, *(r.scheduled for r in one.run.requests)]) - one.origin
        for one in shown
    )
    return View(start, max(end, start + 1), _slowest(shown), _WIDTH, 240, 44, detail=False)


def _panels(runs: Sequence[Run], figures: Sequence[Mapping[str, Any]]) -> list[Panel]:
    shown = [_Shown(run, blackouts(run), steps(run.requests)) for run in runs]
    near, whole = _near(shown), _whole(shown)
    most = max((f["depth_max"] for f in figures), default=1)

    def draw(one: _Shown, view: View) -> markupsafe.Markup:
        # chart() has escaped every text
        depth = Depth(one.steps, most, one.drained)
        return markupsafe.Markup(chart(one.run, one.found, view, one.origin, depth))

    return [
        Panel(one.run, values, draw(one, near) if near else None, draw(one, whole))
        for one, values in zip(shown, figures, strict=True)
    ]


def page(runs: Sequence[Run], result: Mapping[str, Any]) -> str:
    """``runs`` and ``result["runs"]`` are in the same order (:func:`result.in_order`)."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("tools.measurement.analysis", "."),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters["figure"] = cell
    cases = []
    for case in dict.fromkeys(run.case for run in runs):
        pairs = [
            (run, values)
            for run, values in zip(runs, result["runs"], strict=True)
            if run.case == case
        ]
        panels = _panels([run for run, _ in pairs], [values for _, values in pairs])
        claims = [claim for claim in result["claims"] if claim["case"] == case]
        cases.append({"name": case, "panels": panels, "claims": claims})
    return environment.get_template("page.html.j2").render(
        result=result, cases=cases, kinds=KINDS, columns=COLUMNS, legend=LEGEND
    )
