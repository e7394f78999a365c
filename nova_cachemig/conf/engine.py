"""Options of the engine: HAProxy at the edge and Varnish while a guest migrates."""

from __future__ import annotations

from typing import Any

from oslo_config import cfg

GROUP = cfg.OptGroup("engine", title="HAProxy and Varnish on the cache node")

OPTS = [
    cfg.StrOpt(
        "haproxy",
        default="haproxy",
        help="HAProxy's program, version 2.6 or newer, built with Lua. A name without a path is "
        "looked up in PATH.",
    ),
    cfg.ListOpt(
        "haproxy_args",
        default=[],
        help="Additional arguments for HAProxy. They precede the agent's arguments.",
    ),
    cfg.StrOpt(
        "varnishd",
        default="varnishd",
        help="Varnish's daemon, version 7.1 or newer. It needs a C compiler. A name without a "
        "path is looked up in PATH.",
    ),
    cfg.ListOpt(
        "varnishd_args",
        default=["-j", "none"],
        help="Additional arguments for varnishd. They precede the agent's arguments. By default "
        "the cache runs as the agent's user, which should not be root.",
    ),
    cfg.StrOpt(
        "runtime_dir",
        default="/run/nova-cachemig",
        regex=r"^/[A-Za-z0-9/_.+-]{1,70}$",
        help="Directory for the engines' configuration, maps and unix sockets. Only the agent's "
        "user may access it. It must be on a local file system, preferably in memory.",
    ),
    cfg.StrOpt(
        "cache_size",
        default="256m",
        regex=r"^[1-9][0-9]*[kmg]$",
        help="Memory for stored responses, with suffix k, m or g. It must hold the hot sets of "
        "all services that migrate at the same time.",
    ),
    cfg.IntOpt(
        "max_object",
        default=16,
        min=1,
        max=4096,
        help="Maximum size of a stored response in MiB.",
    ),
    cfg.IntOpt(
        "threads",
        default=1,
        min=1,
        max=64,
        help="Number of HAProxy's threads. One thread passes tens of thousands of requests per "
        "second.",
    ),
    cfg.IntOpt(
        "max_clients",
        default=0,
        min=0,
        max=1000000,
        help="Maximum number of client connections. 0: as many as the limit of open files "
        "permits, at most 10000. Each client of a service that migrates needs six open "
        "files.",
    ),
    cfg.IntOpt(
        "hold_timeout",
        default=60,
        min=1,
        max=3600,
        help="Seconds for which the edge holds a read while the guest is not reachable. Then the "
        "client gets 503 with Retry-After.",
    ),
    cfg.IntOpt(
        "retry_after",
        default=5,
        min=1,
        max=3600,
        help="Value of Retry-After in such a response, in seconds.",
    ),
    cfg.IntOpt(
        "connect_timeout",
        default=300,
        min=20,
        max=10000,
        help="Milliseconds after which the edge retries a connection to a guest. The kernel "
        "itself would retry after 1, 3 and 7 s, too late for a guest that was paused.",
    ),
    cfg.IntOpt(
        "fetch_connect_timeout",
        default=100,
        min=20,
        max=10000,
        help="The same for reads of a service that migrates, in milliseconds. A read that waits "
        "for the guest's return takes at most this much longer.",
    ),
    cfg.IntOpt(
        "fetches_on_return",
        default=8,
        min=1,
        max=10000,
        help="Maximum number of concurrent reads to a guest directly after its return. Other "
        "reads wait for their turn, at most half a second. Increase it for guests with high "
        "concurrency.",
    ),
    cfg.IntOpt(
        "connect_patience",
        default=60,
        min=1,
        max=3600,
        help="Seconds for which the edge retries connections to a guest. Then the client gets "
        "503. This alone carries new connections through a blackout if the agent is down.",
    ),
    cfg.IntOpt(
        "guest_timeout",
        default=3600,
        min=1,
        max=86400,
        help="Seconds to wait for a guest that has received a request. It should exceed the "
        "guest's own limits.",
    ),
    cfg.IntOpt(
        "client_timeout",
        default=3600,
        min=1,
        max=86400,
        help="Seconds for which a client may stall while it sends a body or reads a response.",
    ),
    cfg.IntOpt(
        "request_timeout",
        default=10,
        min=1,
        max=600,
        help="Seconds within which a client must send the head of a request.",
    ),
    cfg.IntOpt(
        "keepalive_timeout",
        default=60,
        min=1,
        max=3600,
        help="Seconds for which the edge keeps an idle client connection.",
    ),
    cfg.IntOpt(
        "stale_max",
        default=600,
        min=1,
        max=86400,
        help="Maximum age of a stale response beyond its freshness, in seconds. Stale responses "
        "are used only during a handover, and only where RFC 9111, section 4.2.4, permits "
        "it.",
    ),
    cfg.IntOpt(
        "admin_timeout",
        default=2,
        min=1,
        max=60,
        help="Seconds to wait for a response from HAProxy's admin socket.",
    ),
    cfg.IntOpt(
        "start_timeout",
        default=20,
        min=1,
        max=300,
        help="Seconds within which HAProxy and Varnish must start.",
    ),
    cfg.IntOpt(
        "access_rate",
        default=2000,
        min=0,
        max=1000000,
        help="Maximum number of access records per second from which the agent learns the "
        "popularity of pages. It skips the rest. For services that migrate, it counts all "
        "requests.",
    ),
    cfg.BoolOpt(
        "forwarded_for",
        default=True,
        help="Whether the edge sends the client's address to guests in X-Forwarded-For.",
    ),
]


def register(conf: cfg.ConfigOpts) -> None:
    """Register the options with ``conf``."""
    # A separate group object: see journal.py
    conf.register_group(cfg.OptGroup(GROUP.name, title=GROUP.title))
    conf.register_opts(OPTS, group=GROUP.name)


def list_opts() -> list[tuple[Any, list[Any]]]:
    """Return the options for the sample generator."""
    return [(GROUP, OPTS)]
