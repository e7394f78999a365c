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
        help="Name of this cache node on the message bus. Unique among the cache nodes.",
    ),
    cfg.StrOpt(
        "topic",
        default="nova-cachemig-agent",
        help="RPC topic on which the agent listens. Must equal [cachemig] topic in nova.conf.",
    ),
    cfg.StrOpt(
        "state_dir",
        default="/var/lib/nova-cachemig",
        help="Directory for what must survive a restart: the journal, handovers, engine state.",
    ),
    cfg.StrOpt(
        "services_dir",
        default="/etc/nova-cachemig/services.d",
        help="Directory of YAML files that say which front address stands before which instance. "
        "Every file is validated before any is applied. nova-cachemig-manage writes here too.",
    ),
    cfg.IntOpt(
        "reload_interval",
        default=2,
        min=1,
        max=3600,
        help="Seconds between looks at services_dir for changes.",
    ),
    cfg.FloatOpt(
        "warm_time",
        default=60.0,
        min=0.0,
        max=3600.0,
        help="Seconds for which the cache is warmed at full rate before memory copy. The hook in "
        "nova-compute waits for it, but not past its own limit, [cachemig] warm_timeout in "
        "nova.conf; then warming goes on slowly beside memory copy.",
    ),
    cfg.IntOpt(
        "handover_deadline",
        default=7200,
        min=10,
        help="Seconds after which a handover of which nothing more is heard is ended, "
        "whatever Nova says, once the guest answers and its journal is empty.",
    ),
    cfg.IntOpt(
        "ask_nova_after",
        default=20,
        min=1,
        help="Seconds without an event after which the agent asks Nova how a migration stands, "
        "and again after each such interval.",
    ),
]


def register(conf: cfg.ConfigOpts) -> None:
    """Make the options known to ``conf``."""
    conf.register_group(cfg.OptGroup(GROUP.name, title=GROUP.title))  # its own: see journal.py
    conf.register_opts(OPTS, group=GROUP.name)


def list_opts() -> list[tuple[Any, list[Any]]]:
    """Return the options for the sample generator."""
    return [(GROUP, OPTS)]
