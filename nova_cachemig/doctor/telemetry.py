"""The forecaster's samples: does it receive any, and do Prometheus and Gnocchi respond?"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Final

from oslo_config import cfg

from nova_cachemig.doctor.context import Context
from nova_cachemig.doctor.runner import Check
from nova_cachemig.doctor.verdict import Verdict, skipped
from nova_cachemig.doctor.verdicts import telemetry as verdicts
from nova_cachemig.rpc.client import RefusedError, UnreachableError
from nova_cachemig.rpc.forecaster import ForecasterClient
from nova_cachemig.telemetry.gnocchi import GnocchiSource
from nova_cachemig.telemetry.prometheus import PrometheusSource
from nova_cachemig.telemetry.source import SourceError

_TIMEOUT: Final = 3.0
"""Seconds for the forecaster."""


def checks(context: Context) -> Sequence[Check]:
    """Checks of the groups [forecaster] and [telemetry]."""
    conf = context.conf
    assert conf is not None, "a subject of the cache node"
    found = [Check("telemetry.forecasts", lambda: _forecasts(conf), ("bus.connection",))]
    if "prometheus" in conf.telemetry.sources:
        found.append(
            Check(
                "telemetry.prometheus",
                lambda: [verdicts.prometheus(_problem(PrometheusSource, conf))],
            )
        )
    if "gnocchi" in conf.telemetry.sources:
        found.append(
            Check("telemetry.gnocchi", lambda: [verdicts.gnocchi(_problem(GnocchiSource, conf))])
        )
    return found


def _forecasts(conf: cfg.ConfigOpts) -> list[Verdict]:
    options = conf.forecaster
    client = ForecasterClient(conf, options.topic, options.transport_url, _TIMEOUT)
    try:
        found = client.show()
    except RefusedError as exc:
        return [verdicts.no_forecast(str(exc))]
    except UnreachableError as exc:
        return [skipped(f"no forecaster responds: {exc}")]
    return verdicts.forecasts(found, time.time(), options.interval)


def _problem(
    make: Callable[[cfg.ConfigOpts], PrometheusSource | GnocchiSource], conf: cfg.ConfigOpts
) -> str:
    """Return why a query fails; empty if it succeeds."""
    try:
        source = make(conf)
        try:
            source.check(time.time())
        finally:
            source.stop()
    except SourceError as exc:
        return str(exc)
    return ""
