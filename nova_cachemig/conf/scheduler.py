"""Options of what runs in nova-scheduler. They stand in nova.conf."""

from __future__ import annotations

from typing import Any

from oslo_config import cfg

GROUP = cfg.OptGroup("cachemig_scheduler", title="Placing by predicted load")

OPTS = [
    cfg.FloatOpt(
        "predicted_load_weight_multiplier",
        default=10.0,
        help="Multiplier of PredictedLoadWeigher: positive spreads (the host that will be least "
        "loaded wins), negative stacks. A load of full_load is 1.0, so with 10.0 ten per "
        "cent of predicted load count as much as the whole range of one of Nova's own weighers. "
        "The metadata of an aggregate with the same name overrides it for its hosts.",
    ),
    cfg.FloatOpt(
        "predicted_overload_weight_multiplier",
        default=10.0,
        help="Multiplier of PredictedOverloadWeigher: positive avoids hosts that are likely to be "
        "overloaded within the horizon. The metadata of an aggregate overrides it.",
    ),
    cfg.FloatOpt(
        "full_load",
        default=100.0,
        min=0.001,
        help="Load of a host that is full, in the unit of the metric that is forecast.",
    ),
    cfg.FloatOpt(
        "overload_threshold",
        default=90.0,
        min=0.0,
        help="Load above which a host is overloaded, in the unit of the metric.",
    ),
    cfg.FloatOpt(
        "overload_limit",
        default=0.5,
        min=0.0,
        max=1.0,
        help="PredictedOverloadFilter refuses a host whose probability of overload within the "
        "horizon is above this.",
    ),
    cfg.StrOpt(
        "filter_requests",
        default="moves",
        choices=[
            (
                "moves",
                "live migrations and what looks the same to a filter: cold migrations and "
                "evacuations. Nova does not tell a filter which of them it is",
            ),
            ("all", "these and new instances"),
        ],
        help="Which requests PredictedOverloadFilter looks at.",
    ),
    cfg.BoolOpt(
        "filter_may_refuse_all",
        default=False,
        help="Whether PredictedOverloadFilter may leave no host at all, so that the request fails. "
        "Otherwise, where it would refuse every host, it refuses none.",
    ),
    cfg.FloatOpt(
        "settle_time",
        default=1800.0,
        min=0.0,
        help="Seconds in which the forecasts take in that an instance has come or gone. Until then "
        "what vcpus_used has gained or lost on a host is added to its forecast, so that "
        "instances moved in a row do not all go to the same host. 0: not done.",
    ),
    cfg.FloatOpt(
        "max_age",
        default=300.0,
        min=1.0,
        help="Seconds after its arrival from which on a snapshot counts as stale. Then the "
        "weighers are neutral and the filter passes every host.",
    ),
    cfg.StrOpt(
        "topic",
        default="nova-cachemig-schedulers",
        help="RPC topic on which snapshots come. Must equal [forecaster] scheduler_topic.",
    ),
    cfg.StrOpt(
        "forecaster_topic",
        default="nova-cachemig-forecaster",
        help="RPC topic on which the forecaster is asked for the first snapshot. Must equal "
        "[forecaster] topic.",
    ),
    cfg.StrOpt(
        "transport_url",
        secret=True,
        help="Message bus of the forecaster. Unset: that of Nova ([DEFAULT] transport_url).",
    ),
    cfg.FloatOpt(
        "request_timeout",
        default=5.0,
        min=0.1,
        max=60.0,
        help="Seconds for the forecaster's answer to that. No request of Nova ever waits for it.",
    ),
    cfg.FloatOpt(
        "request_interval",
        default=30.0,
        min=0.1,
        max=3600.0,
        help="Seconds after which it is asked again, as long as there is no fresh snapshot.",
    ),
]


def register(conf: cfg.ConfigOpts) -> None:
    """Make the options known to ``conf``."""
    # By name: a group object keeps what is set, for every configuration it is registered with.
    conf.register_opts(OPTS, group=GROUP.name)


def list_opts() -> list[tuple[Any, list[Any]]]:
    """Return the options for the sample generator."""
    return [(GROUP, OPTS)]
