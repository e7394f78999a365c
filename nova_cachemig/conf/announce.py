"""Options of the early announcement on compute hosts, in nova.conf."""

from __future__ import annotations

from typing import Any

from oslo_config import cfg

GROUP = cfg.OptGroup("cachemig_announce", title="Early announcement of migrating guests")

OPTS = [
    cfg.BoolOpt(
        "enabled",
        default=False,
        help="Whether the network learns at a guest's pause that the guest is on the destination, "
        "and after a rollback that it is on the source. This is done for every live "
        "migration, whether or not a service of the instance is defined. Off by default, "
        "because a rollback after the pause is slower for clients with it. It needs "
        "[cachemig] watch_guests, and on both hosts the capabilities CAP_NET_ADMIN and "
        "CAP_NET_RAW for nova-compute.",
    ),
    cfg.StrOpt(
        "topic",
        default="nova-cachemig-announce",
        help="RPC topic on which compute hosts tell each other that a guest is paused. It is on "
        "the message bus of [cachemig] transport_url and must be the same on all hosts.",
    ),
]


def register(conf: cfg.ConfigOpts) -> None:
    """Register the options with ``conf``."""
    # A separate group object: oslo.config's shallow copies share the options' values.
    conf.register_group(cfg.OptGroup(GROUP.name, title=GROUP.title))
    conf.register_opts(OPTS, group=GROUP)


def list_opts() -> list[tuple[Any, list[Any]]]:
    """Return the options for the sample generator."""
    return [(GROUP, OPTS)]
