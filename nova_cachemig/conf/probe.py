"""Options of the probe that finds out whether a guest answers."""

from __future__ import annotations

from typing import Any

from oslo_config import cfg

GROUP = cfg.OptGroup("probe", title="Finding out whether a guest answers")

OPTS = [
    cfg.IntOpt(
        "silent_after",
        default=5,
        min=2,
        max=100,
        help="Probes in a row that must be overdue, with no answer to any, before a guest counts "
        "as silent. Few are quick, many are not misled by a guest that is only slow.",
    ),
    cfg.FloatOpt(
        "least_timeout",
        default=0.06,
        min=0.005,
        help="Seconds after which a probe is overdue at the earliest.",
    ),
    cfg.FloatOpt(
        "timeout_factor",
        default=4.0,
        min=1.0,
        help="A probe is overdue after so many times the 99th percentile of the guest's recent "
        "answering times, if that is more than least_timeout.",
    ),
    cfg.FloatOpt(
        "lifetime",
        default=1.0,
        min=0.05,
        max=3.0,
        help="Seconds for which the answer to one probe is waited for. After a second the kernel "
        "would send its SYN again, which later probes do anyway.",
    ),
    cfg.IntOpt(
        "max_open",
        default=64,
        min=2,
        max=1024,
        help="Probes of one guest that may be open at a time; the oldest gives way to a new one.",
    ),
]


def register(conf: cfg.ConfigOpts) -> None:
    """Make the options known to ``conf``."""
    conf.register_group(cfg.OptGroup(GROUP.name, title=GROUP.title))  # its own: see journal.py
    conf.register_opts(OPTS, group=GROUP.name)


def list_opts() -> list[tuple[Any, list[Any]]]:
    """Return the options for the sample generator."""
    return [(GROUP, OPTS)]
