"""What the forecaster answers: the newest snapshot, and why things are as they are."""

from __future__ import annotations

import math
from typing import Any, Final

from nova_cachemig.forecast.overload import exceedance, probability
from nova_cachemig.forecast.transfer import arrive, leave
from nova_cachemig.forecaster.daemon import CPU, INSTANCE_SPAN, Daemon, Made
from nova_cachemig.model.load import HostForecast

Wire = dict[str, Any]

POINTS: Final = 288
"""Points of a history that is sent to be looked at."""

PICTURED: Final = 6
"""Of so many hosts at the head of a ranking the history is sent too."""


class Endpoint:
    """Answers from memory; ValueError for what is not known. Loads keep two decimals."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon

    def request_snapshot(self) -> Wire | None:
        """The newest snapshot as it was sent; None before the first."""
        made = self._daemon.made
        return None if made is None else made.wire

    def show(self) -> Wire:
        """Every host, known or silent, and how telemetry does."""
        daemon, made = self._daemon, self._made()
        options = daemon.conf.forecaster
        now = daemon.intake.latest(options.metric, made.at)
        silent = daemon.intake.silent(options.metric, made.at, options.max_silence)
        return {
            **_head(made),
            "hosts": [self._row(made, name, now.get(name)) for name in sorted(made.forecast.hosts)],
            "silent": {host: round(made.at - at) for host, at in sorted(silent.items())},
            "samples": daemon.intake.counts(),
            "told": daemon.told(),
            "faults": daemon.faults.counts(),
            "instances": len(made.snapshot.instances),
            "refit_seconds": round(made.seconds, 3),
        }

    def explain(self, host: str) -> Wire:
        """One host: its history, forecast and quantiles, and the reasons as sentences."""
        daemon, made = self._daemon, self._made()
        options = daemon.conf.forecaster
        found = made.forecast.hosts.get(host)
        if found is None:
            silent = daemon.intake.silent(options.metric, made.at, options.max_silence)
            if host in silent:
                raise ValueError(
                    f"{host} is unknown: its newest sample is {made.at - silent[host]:.0f} s old"
                )
            raise ValueError(f"{host} is unknown: there are no samples of it, or too few")
        now = daemon.intake.latest(options.metric, made.at).get(host)
        row = self._row(made, host, now)
        return {
            **_head(made),
            **row,
            "quantiles": _pairs(made.forecast.levels, found.quantiles),
            "peak": _pairs(made.forecast.levels, found.peak),
            "history": _history(made, host),
            "weights": self._weights(made),
            "reasons": _reasons(made, row, options),
        }

    def rank(self, instance: str, vcpus: int | None) -> Wire:
        """The hosts, the one that would be chosen first, and why.

        As ``PredictedLoadWeigher`` sees it; Nova's own filters and weighers are not asked.
        """
        daemon, made = self._daemon, self._made()
        added, why = self._instance(made, instance, vcpus)
        source = daemon.intake.host_of(instance)
        options = daemon.conf.forecaster
        now = daemon.intake.latest(options.metric, made.at)
        cpus = daemon.intake.latest("cpus", made.at)
        rows = []
        for name in made.snapshot.hosts:
            before = made.forecast.hosts[name]
            after = _moved(before, added, cpus.get(name, 0.0), source=name == source)
            row = self._row(made, name, now.get(name))
            chance = exceedance(made.forecast.levels, after.peak, options.overload_threshold)
            row |= {
                "added": round(after.mean - before.mean, 2),
                "total": round(after.mean, 2),
                "overload": round(chance, 4),
                "source": name == source,
            }
            rows.append(row)
        rows.sort(key=lambda row: (row["source"], row["total"], row["host"]))
        if added and any(not cpus.get(row["host"]) for row in rows):
            why += "; where the number of CPUs of a host is not known (metric cpus), 0 is added"
        pictured = [row["host"] for row in rows[:PICTURED]]
        return {
            **_head(made),
            "instance": instance,
            "source": source,
            "instance_load": round(added, 2),
            "hosts": rows,
            "reasons": [why, _choice(rows)],
            "levels": list(made.forecast.levels),
            "histories": {name: _history(made, name) for name in pictured},
            "quantiles": {
                name: [round(x, 2) for x in made.forecast.hosts[name].quantiles]
                for name in pictured
            },
        }

    def _made(self) -> Made:
        made = self._daemon.made
        if made is None:
            raise ValueError("no forecast has been made yet")
        return made

    def _row(self, made: Made, host: str, now: float | None) -> Wire:
        found = made.forecast.hosts[host]
        threshold = self._daemon.conf.forecaster.overload_threshold
        chance = probability(made.forecast, host, threshold)
        return {
            "host": host,
            "now": None if now is None else round(now, 2),
            "mean": round(found.mean, 2),
            "low": round(_level(made, found, 0.1), 2),
            "high": round(_level(made, found, 0.9), 2),
            "overload": None if chance is None else round(chance, 4),
        }

    def _instance(self, made: Made, instance: str, vcpus: int | None) -> tuple[float, str]:
        """Per cent of one CPU that the instance will use, and how that is known."""
        measured = self._daemon.intake.instances(CPU, made.at, INSTANCE_SPAN).get(instance)
        if measured is not None:
            return measured, f"the instance used {measured:.1f} % of one CPU in the last hour"
        if vcpus is None:
            return 0.0, "there are no samples of the instance: nothing is added for it"
        known = self._daemon.intake.instances(CPU, made.at, INSTANCE_SPAN)
        each = sum(known.values()) / len(known) if known else 100.0
        each = min(each, 100.0)
        return vcpus * each, (
            f"there are no samples of the instance: {vcpus} vCPU at {each:.1f} % each"
        )

    def _weights(self, made: Made) -> dict[str, float]:
        """What each member of a combined method counts, where that is quick to say."""
        weigh = getattr(self._daemon.forecaster, "weights", None)
        if weigh is None or made.seconds > 1.0:
            return {}
        weights: dict[str, float] = weigh(made.matrix, made.forecast.horizon)
        return {name: round(weight, 3) for name, weight in weights.items()}


def _moved(host: HostForecast, added: float, cpus: float, *, source: bool) -> HostForecast:
    """The host after the move of an instance that uses ``added`` per cent of one CPU.

    As to the schedulers, the instance's load is a number: nothing is added to the uncertainty.
    """
    if not cpus:
        return host
    same = (added,) * len(host.quantiles)
    instance = HostForecast(added, same, same)
    return (leave if source else arrive)(host, instance, 1.0 / cpus)


def _head(made: Made) -> Wire:
    return {
        "made_at": made.at,
        "horizon": made.forecast.horizon,
        "metric": made.snapshot.metric,
        "method": made.forecast.method,
        "sequence": made.snapshot.sequence,
    }


def _level(made: Made, host: HostForecast, level: float) -> float:
    """The quantile whose level is nearest."""
    levels = made.forecast.levels
    nearest = min(range(len(levels)), key=lambda i: abs(levels[i] - level))
    return host.quantiles[nearest]


def _pairs(levels: tuple[float, ...], values: tuple[float, ...]) -> list[list[float]]:
    return [[level, round(value, 2)] for level, value in zip(levels, values, strict=True)]


def _history(made: Made, host: str) -> list[list[float | None]]:
    """[UNIX s, load or None] of the newest columns."""
    matrix = made.matrix
    row = matrix.values[matrix.hosts.index(host)].tolist()
    first = max(len(row) - POINTS, 0)
    return [
        [
            round(matrix.start + i * matrix.step, 1),
            round(row[i], 2) if math.isfinite(row[i]) else None,
        ]
        for i in range(first, len(row))
    ]


def _reasons(made: Made, row: Wire, options: Any) -> list[str]:
    columns = made.matrix.values.shape[1]
    seen = int((made.matrix.values[made.matrix.hosts.index(row["host"])] >= 0).sum())
    now = "unknown" if row["now"] is None else f"{row['now']:.1f}"
    reasons = [
        f"{row['mean']:.1f} is expected on the average of the next "
        f"{made.forecast.horizon / 60:.0f} minutes, between {row['low']:.1f} and {row['high']:.1f} "
        f"in 8 of 10 cases; now it is {now}",
        f"made from {seen} of {columns} columns of {made.matrix.step:.0f} s by "
        f"{made.forecast.method!r}",
    ]
    if row["overload"] is not None:
        reasons.append(
            f"the peak passes {options.overload_threshold:g} with a probability of "
            f"{100 * row['overload']:.1f} %"
        )
    return reasons


def _choice(rows: list[Wire]) -> str:
    able = [row for row in rows if not row["source"]]
    if not able:
        return "no other host has a forecast: Nova would choose without us"
    best = able[0]
    idle = min(able, key=lambda row: math.inf if row["now"] is None else row["now"])
    sentence = f"{best['host']} would be chosen: {best['total']:.1f} expected with the instance"
    if idle["host"] != best["host"] and idle["now"] is not None:
        sentence += (
            f"; {idle['host']}, now the idlest at {idle['now']:.1f}, "
            f"is expected at {idle['total']:.1f}"
        )
    return sentence
