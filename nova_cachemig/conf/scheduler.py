"""Options of the code that runs in nova-scheduler. They belong in nova.conf."""

from __future__ import annotations

from typing import Any

from oslo_config import cfg

GROUP = cfg.OptGroup("cachemig_scheduler", title="Placement by predicted load")

OPTS = [
    cfg.FloatOpt(
        "predicted_load_weight_multiplier",
        default=10.0,
        help="Multiplier of PredictedLoadWeigher. A positive value spreads instances (it prefers "
        "the host with the lowest predicted load), a negative value stacks them. The weight covers "
        "loads from 0 to full_load. With 10.0, a difference of 10 % in predicted load counts as "
        "much as the whole range of one of Nova's own weighers. The metadata of an aggregate can "
        "override it for its hosts.",
    ),
    cfg.FloatOpt(
        "predicted_overload_weight_multiplier",
        default=10.0,
        help="Multiplier of PredictedOverloadWeigher. Positive values avoid hosts that will "
        "probably be overloaded within the horizon. The metadata of an aggregate can "
        "override it for its hosts.",
    ),
    cfg.FloatOpt(
        "full_load",
        default=100.0,
        min=0.001,
        help="Load of a fully loaded host, in the unit of the metric that is forecast.",
    ),
    cfg.FloatOpt(
        "overload_threshold",
        default=90.0,
        min=0.0,
        help="Load above which a host is overloaded, in the unit of the metric that is forecast.",
    ),
    cfg.FloatOpt(
        "overload_limit",
        default=0.5,
        min=0.0,
        max=1.0,
        help="PredictedOverloadFilter rejects a host whose probability of overload within the "
        "horizon exceeds this value. From 0 to 1.",
    ),
    cfg.StrOpt(
        "filter_requests",
        default="moves",
        choices=[
            (
                "moves",
                "live migrations, cold migrations and evacuations: a filter cannot tell them apart",
            ),
            ("all", "these requests, and those for new instances"),
        ],
        help="Requests to which PredictedOverloadFilter applies.",
    ),
    cfg.BoolOpt(
        "filter_may_refuse_all",
        default=False,
        help="Whether PredictedOverloadFilter may reject every host, so that the request fails. "
        "If false, it passes every host instead.",
    ),
    cfg.FloatOpt(
        "pending_time",
        deprecated_name="settle_time",
        default=1800.0,
        min=0.0,
        help="Time constant in seconds with which forecasts learn of instances that have arrived "
        "or left. Until then, the change in a host's vcpus_used is added to its forecast, "
        "so that a series of migrations does not choose the same host. 0: no addition.",
    ),
    cfg.FloatOpt(
        "max_age",
        default=300.0,
        min=1.0,
        help="Seconds after its arrival when a snapshot becomes stale. The weighers are then "
        "neutral and the filter passes every host.",
    ),
    cfg.StrOpt(
        "topic",
        default="nova-cachemig-schedulers",
        help="RPC topic on which snapshots arrive. Must equal [forecaster] scheduler_topic.",
    ),
    cfg.StrOpt(
        "forecaster_topic",
        default="nova-cachemig-forecaster",
        help="RPC topic of the forecaster, which is asked for the first snapshot. Must equal "
        "[forecaster] topic.",
    ),
    cfg.StrOpt(
        "transport_url",
        secret=True,
        help="Message bus of the forecaster. Unset: Nova's own ([DEFAULT] transport_url).",
    ),
    cfg.FloatOpt(
        "request_timeout",
        default=5.0,
        min=0.1,
        max=60.0,
        help="Seconds to wait for the forecaster's response. Nova's requests never wait for it.",
    ),
    cfg.FloatOpt(
        "request_interval",
        default=30.0,
        min=0.1,
        max=3600.0,
        help="Seconds between requests for a snapshot while there is no fresh one.",
    ),
]


def register(conf: cfg.ConfigOpts) -> None:
    """Register the options with ``conf``."""
    # By name: a group object is shared between configurations, and so are its options.
    conf.register_opts(OPTS, group=GROUP.name)


def list_opts() -> list[tuple[Any, list[Any]]]:
    """Return the options for the sample generator."""
    return [(GROUP, OPTS)]
