"""The forecaster's RPC responses: the newest snapshot, forecasts, rankings and their reasons."""

from __future__ import annotations

import math
from typing import Any, Final

from nova_cachemig.forecast.overload import exceedance, probability
from nova_cachemig.forecast.transfer import arrive, leave
from nova_cachemig.forecaster.daemon import CPU, INSTANCE_SPAN, Daemon, Round
from nova_cachemig.model.load import HostForecast

Wire = dict[str, Any]

POINTS: Final = 288
"""Maximum number of points of a history in a response."""

PLOTTED: Final = 6
"""Number of hosts at the head of a ranking whose history is included."""


class Endpoint:
    """Responds from memory; ValueError if something is unknown. Loads have two decimals."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon

    def request_snapshot(self) -> Wire | None:
        """Return the newest snapshot as it was sent; None before the first."""
        latest = self._daemon.latest
        return None if latest is None else latest.wire

    def show(self) -> Wire:
        """Return every host, known or silent, and the state of telemetry."""
        daemon, latest = self._daemon, self._latest()
        options = daemon.conf.forecaster
        now = daemon.collector.latest(options.metric, latest.at)
        silent = daemon.collector.silent(options.metric, latest.at, options.max_silence)
        return {
            **_head(latest),
            "hosts": [
                self._row(latest, name, now.get(name)) for name in sorted(latest.forecast.hosts)
            ],
            "silent": {host: round(latest.at - at) for host, at in sorted(silent.items())},
            "samples": daemon.collector.counts(),
            "snapshots": daemon.send_counts(),
            "faults": daemon.faults.counts(),
            "problems": daemon.problems(),
            "instances": len(latest.snapshot.instances),
            "refit_seconds": round(latest.seconds, 3),
        }

    def explain(self, host: str) -> Wire:
        """Return one host's history, forecast and quantiles, and the reasons as sentences."""
        daemon, latest = self._daemon, self._latest()
        options = daemon.conf.forecaster
        found = latest.forecast.hosts.get(host)
        if found is None:
            silent = daemon.collector.silent(options.metric, latest.at, options.max_silence)
            if host in silent:
                raise ValueError(
                    f"{host} is unknown: its newest sample is {latest.at - silent[host]:.0f} s old"
                )
            raise ValueError(f"{host} is unknown: it has no samples, or too few")
        now = daemon.collector.latest(options.metric, latest.at).get(host)
        row = self._row(latest, host, now)
        return {
            **_head(latest),
            **row,
            "quantiles": _pairs(latest.forecast.levels, found.quantiles),
            "peak": _pairs(latest.forecast.levels, found.peak),
            "history": _history(latest, host),
            "weights": self._weights(latest),
            "reasons": _reasons(latest, row, options),
        }

    def rank(self, instance: str, vcpus: int | None) -> Wire:
        """Return the hosts in the order in which they would be chosen, and the reasons.

        The order is that of ``PredictedLoadWeigher`` alone, without Nova's filters and weighers.
        """
        daemon, latest = self._daemon, self._latest()
        added, why = self._instance(latest, instance, vcpus)
        source = daemon.collector.host_of(instance)
        options = daemon.conf.forecaster
        now = daemon.collector.latest(options.metric, latest.at)
        cpus = daemon.collector.latest("cpus", latest.at)
        rows = []
        for name in latest.snapshot.hosts:
            before = latest.forecast.hosts[name]
            after = _moved(before, added, cpus.get(name, 0.0), source=name == source)
            row = self._row(latest, name, now.get(name))
            chance = exceedance(latest.forecast.levels, after.peak, options.overload_threshold)
            row |= {
                "added": round(after.mean - before.mean, 2),
                "total": round(after.mean, 2),
                "overload": round(chance, 4),
                "source": name == source,
            }
            rows.append(row)
        rows.sort(key=lambda row: (row["source"], row["total"], row["host"]))
        if added and any(not cpus.get(row["host"]) for row in rows):
            why += "; 0 is added to hosts whose number of CPUs (metric cpus) is unknown"
        pictured = [row["host"] for row in rows[:PLOTTED]]
        return {
            **_head(latest),
            "instance": instance,
            "source": source,
            "instance_load": round(added, 2),
            "hosts": rows,
            "reasons": [why, _choice(rows)],
            "levels": list(latest.forecast.levels),
            "histories": {name: _history(latest, name) for name in pictured},
            "quantiles": {
                name: [round(x, 2) for x in latest.forecast.hosts[name].quantiles]
                for name in pictured
            },
        }

    def _latest(self) -> Round:
        latest = self._daemon.latest
        if latest is None:
            raise ValueError("no forecast has been made yet")
        return latest

    def _row(self, latest: Round, host: str, now: float | None) -> Wire:
        found = latest.forecast.hosts[host]
        threshold = self._daemon.conf.forecaster.overload_threshold
        chance = probability(latest.forecast, host, threshold)
        return {
            "host": host,
            "now": None if now is None else round(now, 2),
            "mean": round(found.mean, 2),
            "low": round(_level(latest, found, 0.1), 2),
            "high": round(_level(latest, found, 0.9), 2),
            "overload": None if chance is None else round(chance, 4),
        }

    def _instance(self, latest: Round, instance: str, vcpus: int | None) -> tuple[float, str]:
        """Return the instance's load in per cent of one CPU, and a sentence on its origin."""
        measured = self._daemon.collector.instances(CPU, latest.at, INSTANCE_SPAN).get(instance)
        if measured is not None:
            return measured, f"the instance used {measured:.1f} % of one CPU in the last hour"
        if vcpus is None:
            return 0.0, "there are no samples of the instance: no load is added for it"
        known = self._daemon.collector.instances(CPU, latest.at, INSTANCE_SPAN)
        each = sum(known.values()) / len(known) if known else 100.0
        each = min(each, 100.0)
        return vcpus * each, (
            f"there are no samples of the instance: {vcpus} vCPU at {each:.1f} % each"
        )

    def _weights(self, latest: Round) -> dict[str, float]:
        """Return the weight of each member of a combined method, if it is quick to compute."""
        weigh = getattr(self._daemon.forecaster, "weights", None)
        if weigh is None or latest.seconds > 1.0:
            return {}
        weights: dict[str, float] = weigh(latest.matrix, latest.forecast.horizon)
        return {name: round(weight, 3) for name, weight in weights.items()}


def _moved(host: HostForecast, added: float, cpus: float, *, source: bool) -> HostForecast:
    """Return the host's forecast after the move of an instance with load ``added``.

    ``added`` is in per cent of one CPU. As in the schedulers, it adds no uncertainty.
    """
    if not cpus:
        return host
    same = (added,) * len(host.quantiles)
    instance = HostForecast(added, same, same)
    return (leave if source else arrive)(host, instance, 1.0 / cpus)


def _head(latest: Round) -> Wire:
    return {
        "made_at": latest.at,
        "horizon": latest.forecast.horizon,
        "metric": latest.snapshot.metric,
        "method": latest.forecast.method,
        "sequence": latest.snapshot.sequence,
    }


def _level(latest: Round, host: HostForecast, level: float) -> float:
    """Return the quantile of the nearest level."""
    levels = latest.forecast.levels
    nearest = min(range(len(levels)), key=lambda i: abs(levels[i] - level))
    return host.quantiles[nearest]


def _pairs(levels: tuple[float, ...], values: tuple[float, ...]) -> list[list[float]]:
    return [[level, round(value, 2)] for level, value in zip(levels, values, strict=True)]


def _history(latest: Round, host: str) -> list[list[float | None]]:
    """Return [UNIX s, load or None] for the newest columns."""
    matrix = latest.matrix
    row = matrix.values[matrix.hosts.index(host)].tolist()
    first = max(len(row) - POINTS, 0)
    return [
        [
            round(matrix.start + i * matrix.step, 1),
            round(row[i], 2) if math.isfinite(row[i]) else None,
        ]
        for i in range(first, len(row))
    ]


def _reasons(latest: Round, row: Wire, options: Any) -> list[str]:
    columns = latest.matrix.values.shape[1]
    seen = int((latest.matrix.values[latest.matrix.hosts.index(row["host"])] >= 0).sum())
    now = "unknown" if row["now"] is None else f"{row['now']:.1f}"
    reasons = [
        f"the expected mean load over the next {latest.forecast.horizon / 60:.0f} minutes is "
        f"{row['mean']:.1f}, between {row['low']:.1f} and {row['high']:.1f} in 8 of 10 cases; "
        f"the load is {now} now",
        f"method {latest.forecast.method!r} used {seen} of {columns} columns of "
        f"{latest.matrix.step:.0f} s",
    ]
    if row["overload"] is not None:
        reasons.append(
            f"the peak exceeds {options.overload_threshold:g} with a probability of "
            f"{100 * row['overload']:.1f} %"
        )
    return reasons


def _choice(rows: list[Wire]) -> str:
    able = [row for row in rows if not row["source"]]
    if not able:
        return "no other host has a forecast: Nova would choose without forecasts"
    best = able[0]
    idle = min(able, key=lambda row: math.inf if row["now"] is None else row["now"])
    sentence = (
        f"{best['host']} would be chosen: its expected load with the instance is "
        f"{best['total']:.1f}"
    )
    if idle["host"] != best["host"] and idle["now"] is not None:
        sentence += (
            f"; {idle['host']} is the idlest now ({idle['now']:.1f}), but its expected load is "
            f"{idle['total']:.1f}"
        )
    return sentence
