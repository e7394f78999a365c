"""Options of the REST API."""

from __future__ import annotations

from typing import Any

from oslo_config import cfg

GROUP = cfg.OptGroup("api", title="The REST API")

OPTS = [
    cfg.HostAddressOpt(
        "bind_host",
        default="127.0.0.1",
        help="Address on which nova-cachemig-api listens. Put a proxy with TLS in front of it.",
    ),
    cfg.PortOpt("bind_port", default=8782, help="TCP port on which nova-cachemig-api listens."),
    cfg.IntOpt(
        "workers",
        default=2,
        min=1,
        max=64,
        help="Processes of nova-cachemig-api. Each one has its own connection to the message bus.",
    ),
    cfg.IntOpt(
        "threads",
        default=16,
        min=1,
        max=256,
        help="Requests that one process handles at the same time.",
    ),
    cfg.IntOpt(
        "max_limit",
        default=1000,
        min=1,
        max=1000,
        help="Items, at most, in one page of a list.",
    ),
    cfg.FloatOpt(
        "state_age",
        default=5.0,
        min=0.5,
        max=60.0,
        help="Seconds for which a process serves the services and the handovers without asking the "
        "agent again. However many clients ask, the agent gets one request per process in this "
        "time.",
    ),
    cfg.FloatOpt(
        "agent_timeout",
        default=5.0,
        min=0.1,
        max=60.0,
        help="Seconds to wait for one response of the agent. After that, the client gets 503.",
    ),
    cfg.IntOpt(
        "agent_requests",
        default=2,
        min=1,
        max=16,
        help="Requests about writes that one process sends to the agent at the same time. Others "
        "wait, at most agent_timeout.",
    ),
    cfg.StrOpt(
        "response_validation",
        default="ignore",
        choices=[
            ("ignore", "send responses without a check"),
            ("warn", "check each response with its schema, and log what is wrong"),
            ("error", "also respond with 500 if it is wrong"),
        ],
        help="Whether responses are checked with their schemas.",
    ),
]


def register(conf: cfg.ConfigOpts) -> None:
    """Register the options with ``conf``."""
    # By name: a group object is shared between configurations, and so are its options.
    conf.register_opts(OPTS, group=GROUP.name)


def list_opts() -> list[tuple[Any, list[Any]]]:
    """Return the options for the sample generator."""
    return [(GROUP, OPTS)]
