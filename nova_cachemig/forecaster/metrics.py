"""The forecaster's numbers for Prometheus. It only reads, in the threads of the listener."""

from __future__ import annotations

from nova_cachemig.conf.metrics import Address
from nova_cachemig.forecaster.daemon import Daemon
from nova_cachemig.metrics.declared import FORECASTER
from nova_cachemig.metrics.families import DeclaredCollector, Value, Values
from nova_cachemig.metrics.listener import Listener
from nova_cachemig.rpc.server import RpcServer


def listener(address: Address, daemon: Daemon, server: RpcServer) -> Listener:
    """Return the listener, not started."""
    collector = DeclaredCollector("forecaster", FORECASTER, lambda: take(daemon, server))
    return Listener(address, collector)


def take(daemon: Daemon, server: RpcServer) -> Values:
    """Return the value of each metric in FORECASTER that has one now, but that of the build."""
    now, options = daemon.clock(), daemon.conf.forecaster
    collector, latest = daemon.collector, daemon.latest
    silent = collector.silent(options.metric, now, options.max_silence)
    values: dict[str, Value | dict[str, Value]] = {
        "nova_cachemig_bus_listening": float(server.listening),
        "nova_cachemig_forecast_hosts": {
            "forecast": float(len(latest.snapshot.hosts) if latest is not None else 0),
            "silent": float(len(silent)),
        },
        "nova_cachemig_source_problems": float(len(daemon.problems())),
        "nova_cachemig_samples_total": _floats(collector.counts()),
        "nova_cachemig_snapshots_total": _floats(daemon.send_counts()),
    }
    if (newest := collector.newest_at()) > 0:
        values["nova_cachemig_newest_sample_age_seconds"] = max(0.0, now - newest)
    if latest is not None:
        values["nova_cachemig_forecast_age_seconds"] = max(0.0, now - latest.at)
        values["nova_cachemig_forecast_round_seconds"] = latest.seconds
    return {**values, **_of_score(daemon)}


def _of_score(daemon: Daemon) -> Values:
    score = daemon.judge.latest
    if score is None:
        return {}
    return {
        "nova_cachemig_forecast_error": {
            "forecast": score.error,
            "last_value": score.last_value_error,
        },
        "nova_cachemig_forecast_covered_ratio": score.covered,
    }


def _floats(counts: dict[str, int]) -> dict[str, Value]:
    return {name: float(count) for name, count in counts.items()}
