"""Options of the agent itself."""

from __future__ import annotations

import socket
from typing import Any

from oslo_config import cfg

GROUP = cfg.OptGroup("agent", title="The agent on the cache node")

OPTS = [
    cfg.HostAddressOpt(
        "host",
        default=socket.gethostname(),
        sample_default="<hostname>",
        help="Name of this cache node on the message bus. It must be unique among the cache nodes.",
    ),
    cfg.StrOpt(
        "topic",
        default="nova-cachemig-agent",
        help="RPC topic on which the agent listens. Must equal [cachemig] topic in nova.conf.",
    ),
    cfg.StrOpt(
        "state_dir",
        default="/var/lib/nova-cachemig",
        help="Directory for data that must survive a restart: the journal, handovers, the state "
        "of the engine.",
    ),
    cfg.StrOpt(
        "services_dir",
        default="/etc/nova-cachemig/services.d",
        help="Directory of YAML files that map front addresses to instances. The agent validates "
        "all files before it applies any of them. nova-cachemig-manage writes to it.",
    ),
    cfg.IntOpt(
        "reload_interval",
        default=2,
        min=1,
        max=3600,
        help="Seconds between checks of services_dir for changes.",
    ),
    cfg.FloatOpt(
        "warm_time",
        default=60.0,
        min=0.0,
        max=3600.0,
        help="Seconds for which the agent fills the cache at full rate before Nova copies the "
        "memory. The hook in nova-compute waits for this, but no longer than [cachemig] "
        "warm_timeout in nova.conf. Then warming continues at a low rate while Nova copies "
        "the memory.",
    ),
    cfg.IntOpt(
        "handover_deadline",
        default=7200,
        min=10,
        help="Seconds after its start when a handover no longer waits for Nova. It then ends as "
        "soon as the guest is reachable and the journal is empty.",
    ),
    cfg.IntOpt(
        "ask_nova_after",
        default=20,
        min=1,
        help="Seconds without an event after which the agent asks Nova for the state of a "
        "migration. It repeats this at the same interval.",
    ),
]


def register(conf: cfg.ConfigOpts) -> None:
    """Register the options with ``conf``."""
    conf.register_group(cfg.OptGroup(GROUP.name, title=GROUP.title))  # its own: see journal.py
    conf.register_opts(OPTS, group=GROUP.name)


def list_opts() -> list[tuple[Any, list[Any]]]:
    """Return the options for the sample generator."""
    return [(GROUP, OPTS)]
