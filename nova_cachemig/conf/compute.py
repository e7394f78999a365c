"""Options of what runs in nova-compute. They stand in nova.conf."""

from __future__ import annotations

from typing import Any

from oslo_config import cfg

GROUP = cfg.OptGroup("cachemig", title="The hook of nova-cachemig in nova-compute")

OPTS = [
    cfg.StrOpt(
        "topic",
        default="nova-cachemig-agent",
        help="RPC topic on which the agent listens. Must equal [agent] topic in the agent's file.",
    ),
    cfg.StrOpt(
        "transport_url",
        secret=True,
        help="Message bus of the agent. Unset: that of Nova ([DEFAULT] transport_url).",
    ),
    cfg.IntOpt(
        "warm_timeout",
        default=30,
        min=0,
        max=300,
        help="Seconds for which a live migration may be delayed, after the destination is "
        "prepared and before memory is copied, while the agent fills its cache. "
        "0: never delay. It never waits for an agent that does not answer within rpc_timeout.",
    ),
    cfg.FloatOpt(
        "rpc_timeout",
        default=2.0,
        min=0.1,
        max=10.0,
        help="Seconds for which one answer of the agent is awaited. This is what an agent or a "
        "message bus that is down costs a migration, once in agent_retry_after.",
    ),
    cfg.IntOpt(
        "agent_retry_after",
        default=30,
        min=0,
        max=3600,
        help="Seconds for which migrations do not wait for an agent that has just failed to "
        "answer. They are still told to it.",
    ),
    cfg.BoolOpt(
        "watch_guests",
        default=True,
        help="Whether nova-compute starts a small process that listens, read-only, to libvirt "
        "for the instants at which a migrating guest is paused and resumed. Only with the "
        "libvirt driver. Uses [libvirt] connection_uri, or else qemu:///system.",
    ),
]


def register(conf: cfg.ConfigOpts) -> None:
    """Make the options known to ``conf``."""
    # A group of its own: oslo.config's copies share the options' values (a shallow copy).
    conf.register_group(cfg.OptGroup(GROUP.name, title=GROUP.title))
    conf.register_opts(OPTS, group=GROUP)


def list_opts() -> list[tuple[Any, list[Any]]]:
    """Return the options for the sample generator."""
    return [(GROUP, OPTS)]
