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
        help="Number of consecutive overdue probes after which a guest counts as paused. A low "
        "number reacts faster; a high number tolerates a slow guest.",
    ),
    cfg.FloatOpt(
        "least_timeout",
        default=0.06,
        min=0.005,
        help="Minimum number of seconds after which a probe is overdue.",
    ),
    cfg.FloatOpt(
        "timeout_factor",
        default=4.0,
        min=1.0,
        help="A probe is overdue after this many times the 99th percentile of the guest's recent "
        "connection times, but not before least_timeout.",
    ),
    cfg.FloatOpt(
        "lifetime",
        default=1.0,
        min=0.05,
        max=3.0,
        help="Seconds to wait for the result of one probe. After one second the kernel would send "
        "the SYN again, but later probes do this anyway.",
    ),
    cfg.IntOpt(
        "max_open",
        default=64,
        min=2,
        max=1024,
        help="Maximum number of open probes per guest. A new probe replaces the oldest.",
    ),
]


def register(conf: cfg.ConfigOpts) -> None:
    """Register the options with ``conf``."""
    conf.register_group(cfg.OptGroup(GROUP.name, title=GROUP.title))  # its own: see journal.py
    conf.register_opts(OPTS, group=GROUP.name)


def list_opts() -> list[tuple[Any, list[Any]]]:
    """Return the options for the sample generator."""
    return [(GROUP, OPTS)]
