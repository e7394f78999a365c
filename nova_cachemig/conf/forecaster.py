"""Options of the forecaster."""

from __future__ import annotations

import socket
from typing import Any

from oslo_config import cfg

GROUP = cfg.OptGroup("forecaster", title="The forecaster")

OPTS = [
    cfg.StrOpt(
        "method",
        default="default",
        help="Forecasting method: the name of an entry point in nova_cachemig.forecasters. "
        "'default' combines several methods by their recent errors in this cloud.",
    ),
    cfg.StrOpt(
        "metric",
        default="cpu",
        help="Metric of the hosts that is forecast, one of those that the sources measure.",
    ),
    cfg.IntOpt(
        "horizon",
        default=3600,
        min=60,
        max=7 * 86400,
        help="Forecast horizon in seconds: about as long as the load of a newly placed instance "
        "matters. Use 600 in clouds where instances move or end within minutes.",
    ),
    cfg.IntOpt(
        "interval",
        default=60,
        min=1,
        max=3600,
        help="Seconds between forecasts. Each forecast is sent to all schedulers. Set "
        "[cachemig_scheduler] max_age in nova.conf to at least three times this value.",
    ),
    cfg.IntOpt(
        "step",
        default=300,
        min=1,
        max=3600,
        help="Length in seconds of one column of the history that a method receives. Rounded to "
        "a multiple of [telemetry] resolution.",
    ),
    cfg.IntOpt(
        "max_silence",
        default=900,
        min=1,
        help="Seconds without a sample after which a host is left out of the forecasts. The "
        "schedulers then treat it as unknown.",
    ),
    cfg.BoolOpt(
        "send_instances",
        default=True,
        help="Whether to send the load of each measured instance to the schedulers: 20 bytes per "
        "instance in each interval.",
    ),
    cfg.FloatOpt(
        "overload_threshold",
        default=90.0,
        min=0.0,
        help="Load above which nova-cachemig-manage shows a host as overloaded, in the unit of "
        "the metric. Set it to [cachemig_scheduler] overload_threshold in nova.conf.",
    ),
    cfg.HostDomainOpt(
        "host",
        default=socket.gethostname(),
        sample_default="<hostname>",
        help="Name of this forecaster on the message bus.",
    ),
    cfg.StrOpt(
        "topic",
        default="nova-cachemig-forecaster",
        help="RPC topic of the forecasters. Must equal [cachemig_scheduler] forecaster_topic in "
        "nova.conf.",
    ),
    cfg.StrOpt(
        "scheduler_topic",
        default="nova-cachemig-schedulers",
        help="RPC topic of the schedulers. Must equal [cachemig_scheduler] topic in nova.conf.",
    ),
    cfg.StrOpt(
        "transport_url",
        secret=True,
        help="Message bus of the schedulers. Unset: [DEFAULT] transport_url.",
    ),
    cfg.FloatOpt(
        "rpc_timeout",
        default=5.0,
        min=0.1,
        max=60.0,
        help="Seconds that nova-cachemig-manage waits for a response of the forecaster.",
    ),
]


def register(conf: cfg.ConfigOpts) -> None:
    """Register the options with ``conf``."""
    # By name: a group object is shared between configurations, and so are its options.
    conf.register_opts(OPTS, group=GROUP.name)


def list_opts() -> list[tuple[Any, list[Any]]]:
    """Return the options for the sample generator."""
    return [(GROUP, OPTS)]
