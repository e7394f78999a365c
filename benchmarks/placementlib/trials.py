"""Trials: every method forecasts hosts of random machines at the same random instants.

One seed is one cloud: a panel, a day of it, hosts of machines measured on that day, and some
instants. Each machine is on one host only, if there are enough machines. All methods see the same
history and have the same outcome, so that their differences are paired.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from benchmarks.placementlib.readers import Panel, TraceError
from nova_cachemig.forecast.contract import Forecaster
from nova_cachemig.model import load

Floats = NDArray[np.float64]

STRETCH = 86400.0
"""Span of the instants of a seed, in seconds."""

PRESENT = 0.9
"""Minimum measured share of the stretch for a machine to take part."""

BRIDGED = 3
"""Maximum length in samples of a gap that the sample before it fills."""

BOUNDS = (0.1, 0.9)
"""The levels of the 80 % interval."""


@dataclasses.dataclass(frozen=True)
class Plan:
    """The parameters of the trials. Times are in seconds."""

    interval: float = 300.0
    hosts: int = 20
    vms: int = 10
    horizon: float = 3600.0
    warmup: float = 7200.0
    history: float = 7 * 86400.0
    instants: int = 8
    split: str = ""
    stay: float = 0.0
    """Time over which the chosen host is judged; 0: the horizon of the forecast."""

    @property
    def judged(self) -> int:
        """Number of samples after an instant that give the outcome."""
        return self.samples(self.stay or self.horizon)

    def samples(self, seconds: float) -> int:
        return max(1, round(seconds / self.interval))


@dataclasses.dataclass(frozen=True, eq=False)
class Outcome:
    """One instant: ``actual`` is float[hosts]; each forecast float[3, hosts]: mean, low, high."""

    actual: Floats
    forecasts: Mapping[str, Floats]
    day: str = ""
    """The panel and the day in it, the cluster of the second interval."""


@dataclasses.dataclass(frozen=True, eq=False)
class Cloud:
    """Loads of hosts, float[hosts, samples], and instants: the numbers of known samples."""

    loads: Floats
    instants: NDArray[np.int64]
    days: tuple[str, ...] = ()
    """The panel and the day of each instant."""


def machine_split(panel: Panel) -> Panel:
    """Return the half of the machines that is judged, by a hash of their names."""
    judged = [
        i
        for i, machine in enumerate(panel.machines)
        if hashlib.sha256(machine.encode()).digest()[0] % 2
    ]
    machines = tuple(panel.machines[i] for i in judged)
    return Panel(panel.name, machines, panel.values[judged])


def first_instant(panel: Panel, plan: Plan) -> int:
    """Return the first instant to judge: after the warm-up, or after half of the time."""
    half = panel.values.shape[1] // 2 if plan.split == "time" else 0
    return max(plan.samples(plan.warmup), half)


def usable(panels: Sequence[Panel], plan: Plan) -> list[Panel]:
    """Return the panels, or halves of them, that are long enough for trials."""
    if plan.split == "machine":
        panels = [machine_split(panel) for panel in panels]
    good = [
        panel
        for panel in panels
        if len(panel.machines) > 1
        and first_instant(panel, plan) + plan.judged <= panel.values.shape[1]
    ]
    if not good:
        raise TraceError("no panel has two machines and enough samples")
    return good


def cloud(panels: Sequence[Panel], plan: Plan, rng: np.random.Generator) -> Cloud | None:
    """Return a random cloud; None if too few machines were measured in its stretch."""
    panel = panels[int(rng.integers(len(panels)))]
    steps, length = plan.judged, panel.values.shape[1]
    first, last = first_instant(panel, plan), length - steps
    begin = int(rng.integers(first, max(first, last - plan.samples(STRETCH)) + 1))
    end = min(begin + plan.samples(STRETCH), last)
    instants = np.sort(rng.integers(begin, end + 1, plan.instants))
    stretch = panel.values[:, max(begin - plan.samples(plan.warmup), 0) : end + steps]
    present = np.flatnonzero(np.isfinite(stretch).mean(axis=1) >= PRESENT)
    if len(present) < 2:
        return None
    start = max(begin - plan.samples(plan.history), 0)
    loads = bridge(panel.values[:, start : end + steps])
    groups = group(present, plan, rng)
    days = tuple(f"{panel.name}:{t // plan.samples(STRETCH)}" for t in instants.tolist())
    hosts = np.stack([loads[members].mean(axis=0) for members in groups])
    return Cloud(hosts, instants - start, days)


def group(
    machines: NDArray[np.int64], plan: Plan, rng: np.random.Generator
) -> list[NDArray[np.int64]]:
    """Return the machines of each host. Hosts share machines only if there are too few."""
    size = min(plan.vms, max(1, len(machines) // 2))
    if len(machines) >= size * plan.hosts:
        return list(rng.permutation(machines)[: size * plan.hosts].reshape(plan.hosts, size))
    return [rng.choice(machines, size, replace=False) for _ in range(plan.hosts)]


def bridge(values: Floats) -> Floats:
    """Fill short gaps with the sample before them, float[machines, samples]."""
    filled = values.copy()
    for back in range(1, BRIDGED + 1):
        gap = np.isnan(filled[:, back:]) & np.isfinite(values[:, :-back])
        filled[:, back:] = np.where(gap, values[:, :-back], filled[:, back:])
    return filled


def run(
    panels: Sequence[Panel], plan: Plan, methods: Sequence[Forecaster], seed: int
) -> list[Outcome]:
    """Return all outcomes of a seed; deterministic."""
    rng = np.random.default_rng(seed)
    for _ in range(100):
        drawn = cloud(panels, plan, rng)
        if drawn is not None:
            outcomes = [
                dataclasses.replace(outcome(drawn.loads, int(t), plan, methods), day=day)
                for t, day in zip(drawn.instants, drawn.days, strict=True)
            ]
            return [o for o in outcomes if np.isfinite(o.actual).sum() > 1]
    raise TraceError("no stretch of a day in which two machines were measured")


def outcome(loads: Floats, known: int, plan: Plan, methods: Sequence[Forecaster]) -> Outcome:
    """Return the forecasts from the first ``known`` samples, and the outcome."""
    past = loads[:, max(known - plan.samples(plan.history), 0) : known]
    names = tuple(f"h{i}" for i in range(len(loads)))
    matrix = load.LoadMatrix(names, 0.0, plan.interval, past)
    after = loads[:, known : known + plan.judged]
    seen = np.isfinite(after)
    total = np.where(seen, after, 0.0).sum(axis=1)
    enough = seen.sum(axis=1) * 2 >= after.shape[1]
    actual = np.where(enough, total / np.maximum(seen.sum(axis=1), 1), np.nan)
    made = {m.name: _array(m.forecast(matrix, plan.horizon), names) for m in methods}
    return Outcome(actual, made)


def _array(forecast: load.Forecast, names: tuple[str, ...]) -> Floats:
    result = np.full((3, len(names)), np.nan)
    low, high = (forecast.levels.index(level) for level in BOUNDS)
    for i, name in enumerate(names):
        host = forecast.hosts.get(name)
        if host is not None:
            result[:, i] = host.mean, host.quantiles[low], host.quantiles[high]
    return result
