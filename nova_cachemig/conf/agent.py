"""Options of the agent itself."""

from __future__ import annotations

import socket
from typing import Any

from oslo_config import cfg

GROUP = cfg.OptGroup("agent", title="The agent on the cache node")

OPTS = [
    cfg.HostDomainOpt(
        "host",
        default=socket.gethostname(),
        sample_default="<hostname>",
        help="Name of this cache node on the message bus. It must be unique among the cache nodes.",
    ),
    cfg.StrOpt(
        "topic",
        default="nova-cachemig-agent",
        help="RPC topic of the agent. It must equal [cachemig] topic in nova.conf.",
    ),
    cfg.StrOpt(
        "serve_journal",
        default="metadata",
        choices=[
            ("none", "nothing"),
            ("metadata", "list, resend and discard writes; without their content"),
            ("content", "also their headers, bodies, query strings and clients"),
        ],
        help="The part of nova-cachemig-manage journal that works over RPC. Any program that can "
        "send to the topic can do the same, and on many clouds every OpenStack service can. The "
        "content of writes is the users' own. With --offline, on this node, everything works, "
        "whatever this option says.",
    ),
    cfg.StrOpt(
        "state_dir",
        default="/var/lib/nova-cachemig",
        help="Directory of everything that must survive a restart: the journal, the records of "
        "handovers, and the guests' addresses. Only one agent can use it at a time.",
    ),
    cfg.StrOpt(
        "services_dir",
        default="/etc/nova-cachemig/services.d",
        help="Directory of the YAML files that define the services: which front address belongs to "
        "which instance. All files are validated before any of them takes effect. "
        "nova-cachemig-manage writes to it too.",
    ),
    cfg.IntOpt(
        "reload_interval",
        default=2,
        min=1,
        max=3600,
        help="Seconds between checks of services_dir for changes. The agent then also retries "
        "what failed before, for example to look up an instance in Nova.",
    ),
    cfg.IntOpt(
        "address_interval",
        default=300,
        min=10,
        help="Seconds after which the agent asks Nova again whether a guest still has its address. "
        "If Nova reports others, the agent looks up the address again: another guest may "
        "have the old one by now. Not for services with the field address.",
    ),
    cfg.FloatOpt(
        "warm_time",
        default=60.0,
        min=0.0,
        max=3600.0,
        help="Seconds, from the start of a migration's preparation, for which the agent may fill "
        "the cache at full rate. When Nova has prepared the destination, nova-compute waits for "
        "the rest, but no longer than [cachemig] warm_timeout in nova.conf. The preparation itself "
        "takes seconds, so warm_time should be longer than warm_timeout. While Nova copies the "
        "memory, the agent continues at a low rate. 0: only at the low rate. Related: all options "
        "of [warm].",
    ),
    cfg.IntOpt(
        "handover_deadline",
        default=7200,
        min=10,
        help="Seconds after the start of a handover after which the agent stops waiting for Nova. "
        "It then releases the services as soon as the guest is reachable and the journal is empty, "
        "and records the outcome abandoned. If this takes longer than ask_nova_after seconds, the "
        "writes that are not applied are quarantined, and the services are released in any case.",
    ),
    cfg.IntOpt(
        "ask_nova_after",
        default=20,
        min=1,
        help="Seconds without an event of a handover after which the agent asks Nova for the "
        "state of the migration. It asks again after each such interval.",
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
