"""Options of the notification driver in nova-compute, in nova.conf."""

from __future__ import annotations

from typing import Any

from oslo_config import cfg

GROUP = cfg.OptGroup("cachemig", title="The notification driver in nova-compute")

OPTS = [
    cfg.StrOpt(
        "topic",
        default="nova-cachemig-agent",
        help="RPC topic on which the agent listens. Must equal [agent] topic in the agent's "
        "configuration.",
    ),
    cfg.StrOpt(
        "transport_url",
        secret=True,
        help="Message bus of the agent. Unset: Nova's own ([DEFAULT] transport_url).",
    ),
    cfg.BoolOpt(
        "report_load",
        default=True,
        help="Whether nova-compute reports the host's load to the forecasters. It does so when "
        "Nova measures it: with [DEFAULT] compute_monitors = cpu.virt_driver.",
    ),
    cfg.StrOpt(
        "samples_topic",
        default="nova-cachemig-samples",
        help="RPC topic for the reports of report_load. Must equal [telemetry] topic in the "
        "forecaster's configuration.",
    ),
    cfg.IntOpt(
        "warm_timeout",
        default=30,
        min=0,
        max=300,
        help="Seconds for which a live migration may wait while the agent fills its cache. The "
        "wait is after the preparation of the destination and before Nova copies the memory. The "
        "agent has been filling the cache since the start of the preparation, for at most [agent] "
        "warm_time. 0: never wait. If the agent does not respond, the migration waits no longer "
        "than rpc_timeout.",
    ),
    cfg.FloatOpt(
        "rpc_timeout",
        default=2.0,
        min=0.1,
        max=10.0,
        help="Seconds to wait for one response of the agent. If the agent or the message bus is "
        "down, this is the delay of one migration per agent_retry_after.",
    ),
    cfg.IntOpt(
        "agent_retry_after",
        default=30,
        min=0,
        max=3600,
        help="Seconds for which migrations do not wait for an agent that has just failed to "
        "respond. The driver still reports them to the agent. It pings the agent in the "
        "background, and migrations wait again as soon as the agent responds.",
    ),
    cfg.BoolOpt(
        "watch_guests",
        default=True,
        help="Whether nova-compute starts a small process that listens to libvirt, read-only, for "
        "the instants when a migrating guest pauses and resumes. Only with the libvirt "
        "driver. It uses [libvirt] connection_uri, or Nova's default for [libvirt] virt_type. If "
        "libvirt asks for a user name and password (SASL), it uses libvirt's own authentication "
        "file, as nova-compute does.",
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
