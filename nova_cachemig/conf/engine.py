"""Options of the engine: HAProxy at the edge and Varnish while a guest migrates."""

from __future__ import annotations

from typing import Any

from oslo_config import cfg

GROUP = cfg.OptGroup("engine", title="HAProxy and Varnish on the cache node")

OPTS = [
    cfg.StrOpt(
        "haproxy",
        default="haproxy",
        help="HAProxy's program, 2.6 or newer, built with Lua. A name is looked up in PATH.",
    ),
    cfg.ListOpt(
        "haproxy_args",
        default=[],
        help="More arguments for HAProxy, before ours.",
    ),
    cfg.StrOpt(
        "varnishd",
        default="varnishd",
        help="Varnish's daemon, 7.1 or newer. It needs a C compiler. A name is looked up in PATH.",
    ),
    cfg.ListOpt(
        "varnishd_args",
        default=["-j", "none"],
        help="More arguments for varnishd, before ours. The default runs the cache as the agent's "
        "own user, which should not be root.",
    ),
    cfg.StrOpt(
        "runtime_dir",
        default="/run/nova-cachemig",
        regex=r"^/[A-Za-z0-9/_.+-]{1,70}$",
        help="Directory for the engines' configuration, maps and unix sockets; only the agent's "
        "user may enter it. It must be on a local file system, at best in memory.",
    ),
    cfg.StrOpt(
        "cache_size",
        default="256m",
        regex=r"^[1-9][0-9]*[kmg]$",
        help="Memory for stored answers (k, m, g). It must hold the hot sets of the services that "
        "are handed over at the same time.",
    ),
    cfg.IntOpt(
        "max_object",
        default=16,
        min=1,
        max=4096,
        help="MiB. Longer answers are not stored.",
    ),
    cfg.IntOpt(
        "threads",
        default=1,
        min=1,
        max=64,
        help="Threads of HAProxy. One passes tens of thousands of requests a second.",
    ),
    cfg.IntOpt(
        "max_clients",
        default=0,
        min=0,
        max=1000000,
        help="Client connections at once. 0: as many as the limit of open files allows (six are "
        "needed for each client of a service that is handed over), at most 10000.",
    ),
    cfg.IntOpt(
        "hold_timeout",
        default=60,
        min=1,
        max=3600,
        help="Seconds for which a request is held while the guest is silent. Then the answer is "
        "503 with Retry-After.",
    ),
    cfg.IntOpt(
        "retry_after",
        default=5,
        min=1,
        max=3600,
        help="Seconds in the Retry-After of such an answer.",
    ),
    cfg.IntOpt(
        "connect_timeout",
        default=300,
        min=20,
        max=10000,
        help="Milliseconds after which a connection to a guest is tried anew. The kernel itself "
        "would try again after 1, 3 and 7 s, which is too late for a guest that was paused.",
    ),
    cfg.IntOpt(
        "fetch_connect_timeout",
        default=100,
        min=20,
        max=10000,
        help="The same for reads of a service that is being handed over, in milliseconds. A read "
        "that waits for the guest's return overruns it by at most this much.",
    ),
    cfg.IntOpt(
        "fetches_on_return",
        default=8,
        min=1,
        max=10000,
        help="Reads at a time that go to a guest that has just come back. The others wait for "
        "their turn, at most half a second. More help a guest that answers many at once.",
    ),
    cfg.IntOpt(
        "connect_patience",
        default=60,
        min=1,
        max=3600,
        help="Seconds for which connections to a guest are tried before the answer is 503. This "
        "alone carries new connections through a blackout when the agent is dead.",
    ),
    cfg.IntOpt(
        "guest_timeout",
        default=3600,
        min=1,
        max=86400,
        help="Seconds for which a guest may be silent on a request that it has received. It should "
        "be longer than the guest's own limits.",
    ),
    cfg.IntOpt(
        "client_timeout",
        default=3600,
        min=1,
        max=86400,
        help="Seconds for which a client may stall while it sends a body or takes an answer.",
    ),
    cfg.IntOpt(
        "request_timeout",
        default=10,
        min=1,
        max=600,
        help="Seconds in which a client must have sent the head of a request.",
    ),
    cfg.IntOpt(
        "keepalive_timeout",
        default=60,
        min=1,
        max=3600,
        help="Seconds for which a client's idle connection is kept.",
    ),
    cfg.IntOpt(
        "stale_max",
        default=600,
        min=1,
        max=86400,
        help="Seconds past its freshness for which a stored answer may be used while a handover is "
        "on, where RFC 9111, section 4.2.4, allows it at all.",
    ),
    cfg.IntOpt(
        "admin_timeout",
        default=2,
        min=1,
        max=60,
        help="Seconds for an answer from HAProxy's admin socket.",
    ),
    cfg.IntOpt(
        "start_timeout",
        default=20,
        min=1,
        max=300,
        help="Seconds in which HAProxy and Varnish must have started.",
    ),
    cfg.IntOpt(
        "access_rate",
        default=2000,
        min=0,
        max=1000000,
        help="Records a second that the agent takes from the access log to learn what is popular. "
        "The rest is skipped. Services that are handed over are counted in full.",
    ),
    cfg.BoolOpt(
        "forwarded_for",
        default=True,
        help="Whether the edge tells guests the client's address in X-Forwarded-For.",
    ),
]


def register(conf: cfg.ConfigOpts) -> None:
    """Make the options known to ``conf``."""
    # A group of its own: oslo.config's copy of GROUP would share overrides with other ConfigOpts.
    conf.register_group(cfg.OptGroup(GROUP.name, title=GROUP.title))
    conf.register_opts(OPTS, group=GROUP.name)


def list_opts() -> list[tuple[Any, list[Any]]]:
    """Return the options for the sample generator."""
    return [(GROUP, OPTS)]
