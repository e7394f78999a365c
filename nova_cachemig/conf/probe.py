"""Options of the probe that finds out whether a guest is reachable."""

from __future__ import annotations

from typing import Any

from oslo_config import cfg

GROUP = cfg.OptGroup("probe", title="Finding out whether a guest is reachable")

OPTS = [
    cfg.IntOpt(
        "silent_after",
        default=5,
        min=2,
        max=100,
        help="Number of consecutive overdue probes, without a response to any of them, after which "
        "a guest counts as silent. The agent sends one probe every 50 ms while it waits for "
        "silence, or less often if it watches more than ten guests. A small number reacts sooner; "
        "a large number is not misled by a guest that is only slow. Related: least_timeout, "
        "timeout_factor.",
    ),
    cfg.FloatOpt(
        "least_timeout",
        default=0.06,
        min=0.005,
        help="A probe is not overdue before this many seconds. Related: timeout_factor.",
    ),
    cfg.FloatOpt(
        "timeout_factor",
        default=4.0,
        min=1.0,
        help="A probe is overdue after this many times the 99th percentile of the guest's recent "
        "connection times, but not before least_timeout and not after lifetime.",
    ),
    cfg.FloatOpt(
        "lifetime",
        default=1.0,
        min=0.05,
        max=3.0,
        help="Seconds after which the agent gives up one probe. After one second the kernel would "
        "repeat its SYN packet, but later probes have the same effect.",
    ),
    cfg.IntOpt(
        "max_open",
        default=64,
        min=2,
        max=1024,
        help="Limit of simultaneously open probes of one guest. A new probe replaces the oldest.",
    ),
]


def register(conf: cfg.ConfigOpts) -> None:
    """Register the options with ``conf``."""
    # A separate group object: oslo.config copies an OptGroup shallowly and would share overrides.
    conf.register_group(cfg.OptGroup(GROUP.name, title=GROUP.title))
    conf.register_opts(OPTS, group=GROUP.name)


def list_opts() -> list[tuple[Any, list[Any]]]:
    """Return the options for the sample generator."""
    return [(GROUP, OPTS)]
