"""Options of the forecaster: what is forecast, how often, and who is told."""

from __future__ import annotations

import socket
from typing import Any

from oslo_config import cfg

GROUP = cfg.OptGroup("forecaster", title="The forecaster")

OPTS = [
    cfg.StrOpt(
        "method",
        default="default",
        help="Name of an entry point in nova_cachemig.forecasters. 'default' combines several by "
        "how well each has lately done in this cloud.",
    ),
    cfg.StrOpt(
        "metric",
        default="cpu",
        help="Which metric of the hosts is forecast.",
    ),
    cfg.IntOpt(
        "horizon",
        default=3600,
        min=60,
        max=7 * 86400,
        help="Seconds ahead that a forecast is about: about as long as an instance that is placed "
        "now will matter. 600 is for clouds in which instances move or end within minutes.",
    ),
    cfg.IntOpt(
        "interval",
        default=60,
        min=1,
        max=3600,
        help="Seconds between forecasts, each of which is sent to all schedulers. Keep "
        "[cachemig_scheduler] max_age of nova.conf at three times that or more.",
    ),
    cfg.IntOpt(
        "step",
        default=300,
        min=1,
        max=3600,
        help="Seconds of one column of what the forecaster is given: a multiple of "
        "[telemetry] resolution, or it is rounded to one.",
    ),
    cfg.IntOpt(
        "max_silence",
        default=900,
        min=1,
        help="Seconds after which a host without a sample is left out of the forecasts. "
        "To the schedulers it is unknown then.",
    ),
    cfg.BoolOpt(
        "send_instances",
        default=True,
        help="Whether the schedulers are told the load of each instance that has samples. "
        "20 bytes an instance and interval.",
    ),
    cfg.FloatOpt(
        "overload_threshold",
        default=90.0,
        min=0.0,
        help="Load above which a host counts as overloaded, in the unit of the metric, for what "
        "nova-cachemig-manage shows. Keep it equal to the option of that name in nova.conf.",
    ),
    cfg.HostAddressOpt(
        "host",
        default=socket.gethostname(),
        sample_default="<hostname>",
        help="Name of this forecaster on the message bus.",
    ),
    cfg.StrOpt(
        "topic",
        default="nova-cachemig-forecaster",
        help="RPC topic on which forecasters answer. Must equal [cachemig_scheduler] "
        "forecaster_topic in nova.conf.",
    ),
    cfg.StrOpt(
        "scheduler_topic",
        default="nova-cachemig-schedulers",
        help="RPC topic on which all schedulers are told. Must equal [cachemig_scheduler] topic in "
        "nova.conf.",
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
        help="Seconds for which nova-cachemig-manage waits for the forecaster's answer.",
    ),
]


def register(conf: cfg.ConfigOpts) -> None:
    """Make the options known to ``conf``."""
    # By name: a group object keeps what is set, for every configuration it is registered with.
    conf.register_opts(OPTS, group=GROUP.name)


def list_opts() -> list[tuple[Any, list[Any]]]:
    """Return the options for the sample generator."""
    return [(GROUP, OPTS)]
