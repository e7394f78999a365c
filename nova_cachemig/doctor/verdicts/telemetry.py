"""Verdicts on the forecaster's samples."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from nova_cachemig.doctor.verdict import Verdict, failed, ok, warning

_STALE: Final = 5
"""Intervals between forecasts after which the newest one is too old."""
_FROM_NOVA: Final = (
    "In nova.conf of each compute host, set compute_monitors = cpu.virt_driver and driver = "
    "cachemig in [oslo_messaging_notifications], and restart nova-compute"
)


def forecasts(show: Mapping[str, Any], now: float, interval: float) -> list[Verdict]:
    """``show``: the forecaster's response; ``now``: UNIX s; ``interval`` between forecasts, s."""
    verdicts = [
        warning(f"The forecaster reports: {problem}", "Check that message bus, or that source")
        for problem in show.get("problems", [])
    ]
    hosts, silent = show.get("hosts", []), show.get("silent", {})
    age = now - float(show.get("made_at", now))
    if not hosts:
        verdicts.append(failed("The forecaster has no forecast of any host", _FROM_NOVA))
    elif age > _STALE * interval:
        verdicts.append(
            failed(f"The newest forecast is {age:.0f} s old", "Look at the forecaster's log")
        )
    else:
        verdicts.append(ok(f"The forecaster has forecasts of {len(hosts)} hosts, {age:.0f} s old"))
    if silent:
        verdicts.append(
            warning(
                f"No recent samples of {len(silent)} hosts: {', '.join(sorted(silent)[:10])}",
                _FROM_NOVA,
            )
        )
    return verdicts


def no_forecast(detail: str) -> Verdict:
    """The forecaster responds with an error, usually before its first forecast."""
    return warning(
        f"The forecaster has no forecasts: {detail}",
        "Wait for the first forecast, one [forecaster] interval after its start. Look at its log "
        "if none is made",
    )


def prometheus(error: str) -> Verdict:
    """``error``: empty if a query succeeded."""
    if not error:
        return ok("Prometheus responds to a query")
    if error.startswith(("401", "403")):
        return failed(
            f"Prometheus refuses the query: {error}",
            "Correct the credentials of Prometheus in [telemetry]: prometheus_user and its "
            "password, prometheus_token_file or prometheus_header",
        )
    return failed(
        f"Prometheus cannot be queried: {error}",
        "Correct [telemetry] prometheus_url and the other options of prometheus_, and check that "
        "Prometheus runs",
    )


def gnocchi(error: str) -> Verdict:
    """``error``: empty if a query succeeded."""
    if not error:
        return ok("Gnocchi responds to a query")
    if error.startswith(("401", "403")):
        return failed(
            f"Gnocchi refuses the query: {error}",
            "Correct the account in [gnocchi]. It needs the role service or admin, or must be in "
            "the project of Ceilometer's account",
        )
    if error.startswith("404"):
        return failed(
            f"Gnocchi has no such measures: {error}",
            "Let Ceilometer measure the hosts (compute_monitors = cpu.virt_driver in nova.conf), "
            "and correct host_query and instance_query in [gnocchi]",
        )
    return failed(
        f"Gnocchi cannot be queried: {error}",
        "Correct the options of [gnocchi], and check that Gnocchi runs",
    )
