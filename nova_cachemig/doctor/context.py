"""The configuration files that the checks look at."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from oslo_config import cfg

from nova_cachemig.conf import announce, compute, scheduler, setup, values

_NOVA_OPTS = {
    "DEFAULT": [
        cfg.ListOpt("compute_monitors", default=[]),
        cfg.BoolOpt("instance_usage_audit", default=False),
    ],
    "notifications": [
        cfg.StrOpt("notify_on_state_change"),
    ],
    "oslo_messaging_notifications": [
        cfg.MultiStrOpt(
            "driver",
            default=[],
            deprecated_opts=[cfg.DeprecatedOpt("notification_driver", group="DEFAULT")],
        ),
        cfg.ListOpt("topics", default=[]),  # to know whether it is set
    ],
    "filter_scheduler": [
        cfg.ListOpt("weight_classes", default=["nova.scheduler.weights.all_weighers"]),
        cfg.ListOpt("enabled_filters", default=[]),
        cfg.MultiStrOpt("available_filters", default=["nova.scheduler.filters.all_filters"]),
    ],
    "libvirt": [
        cfg.StrOpt("virt_type", default="kvm"),
        cfg.StrOpt("connection_uri", default=""),
    ],
}
"""Options of Nova that the checks read. Nova itself need not be installed."""


@dataclasses.dataclass(frozen=True, slots=True)
class Context:
    """``conf``: the configuration of the agent; ``nova_conf``: that of Nova. None: not given."""

    conf: cfg.ConfigOpts | None
    nova_conf: cfg.ConfigOpts | None


def read_agent(files: Sequence[str]) -> cfg.ConfigOpts:
    """Read the agent's files. Raises cfg.Error that names the mistake."""
    conf = cfg.ConfigOpts()
    setup.read(conf, files)
    return conf


def read_nova(files: Sequence[str]) -> cfg.ConfigOpts:
    """Read Nova's files: later ones override earlier ones. Raises cfg.Error for a mistake."""
    conf = cfg.ConfigOpts()
    for group, options in _NOVA_OPTS.items():
        conf.register_opts(options, group=None if group == "DEFAULT" else group)
    compute.register(conf)
    announce.register(conf)
    scheduler.register(conf)
    conf([], project="nova", default_config_files=list(files), default_config_dirs=[])
    values.check(conf, in_nova=True)
    return conf
