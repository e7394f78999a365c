"""Options of telemetry: where samples of load come from and how long they are kept."""

from __future__ import annotations

import ipaddress
from typing import Any

from oslo_config import cfg, types

GROUP = cfg.OptGroup("telemetry", title="Where samples of load come from")

# clamp_min: the rate of an idle CPU comes out slightly above 1, by the jitter of the scrapes
_NODE_CPU = (
    "cpu = clamp_min(100 * (1 - avg by (instance) "
    '(rate(node_cpu_seconds_total{mode="idle"}[2m]))), 0)'
)
_NODE_QUERIES = [
    _NODE_CPU,
    'cpus = count by (instance) (node_cpu_seconds_total{mode="idle"})',
    "memory = 100 * (1 - node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes)",
    "disk.read = sum by (instance) (rate(node_disk_read_bytes_total[2m]))",
    "disk.write = sum by (instance) (rate(node_disk_written_bytes_total[2m]))",
    'net.receive = sum by (instance) (rate(node_network_receive_bytes_total{device!="lo"}[2m]))',
    'net.transmit = sum by (instance) (rate(node_network_transmit_bytes_total{device!="lo"}[2m]))',
]


class HostNames(types.ConfigType):
    """``HOST:NAME`` pairs separated by commas.

    A HOST that is an IPv6 address may stand in brackets: ``[2001:db8::11]:cmp1``. Without them it
    ends at the last colon. Any other HOST ends at the first colon.
    """

    def __init__(self) -> None:
        super().__init__(type_name="dict value")

    def __call__(self, value: str | dict[str, str]) -> dict[str, str]:
        """The name of each host; ValueError for what is not such a list."""
        if isinstance(value, dict):
            return value
        names: dict[str, str] = {}
        for pair in filter(None, map(str.strip, value.split(","))):
            host, name = _split(pair)
            if not host or not name:
                raise ValueError(f"not HOST:NAME: {pair!r}")
            if host in names:
                raise ValueError(f"two names for {host}")
            names[host] = name
        return names

    def __repr__(self) -> str:
        return "HostNames"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, HostNames)

    __hash__ = None  # type: ignore[assignment]

    def _formatter(self, value: dict[str, str]) -> str:
        return ",".join(
            f"[{host}]:{name}" if ":" in host else f"{host}:{name}"
            for host, name in sorted(value.items())
        )


def _split(pair: str) -> tuple[str, str]:
    if pair.startswith("["):
        host, _, name = pair[1:].partition("]:")
        return host.strip(), name.strip()
    host, _, name = pair.rpartition(":")
    try:
        ipaddress.IPv6Address(host.strip())
    except ValueError:
        host, _, name = pair.partition(":")
    return host.strip(), name.strip()


OPTS = [
    cfg.ListOpt(
        "sources",
        default=["nova"],
        help="Names of entry points in nova_cachemig.telemetry, all of which are read: nova "
        "(metrics.update notifications; needs compute_monitors = cpu.virt_driver in the "
        "nova.conf of the computes), prometheus, none.",
    ),
    cfg.ListOpt(
        "known_hosts",
        default=[],
        help="Names of the hosts whose samples are taken, as Nova writes them. "
        "Empty: those of any host, up to max_hosts.",
    ),
    cfg.IntOpt(
        "max_hosts",
        default=10_000,
        min=1,
        max=1_000_000,
        help="Hosts of which samples are kept at most. Bounds the memory.",
    ),
    cfg.IntOpt(
        "max_instances",
        default=50_000,
        min=0,
        max=10_000_000,
        help="Instances of which samples are kept at most. 0: none.",
    ),
    cfg.IntOpt(
        "resolution",
        default=60,
        min=1,
        max=3600,
        help="Seconds of one cell of the history of a host. Samples in one cell are averaged. "
        "Instances have cells five times as long.",
    ),
    cfg.IntOpt(
        "keep",
        default=7 * 86400,
        min=3600,
        max=62 * 86400,
        help="Seconds of history of the metric that is forecast. A week of 1,000 hosts takes "
        "50 MB. At least three days let the forecaster find what repeats daily. Of other metrics, "
        "and of instances, a day is kept at most.",
    ),
    cfg.StrOpt(
        "history_file",
        default="/var/lib/nova-cachemig/load-history.npz",
        help="File in which the history survives a restart of the forecaster.",
    ),
    cfg.IntOpt(
        "save_interval",
        default=600,
        min=10,
        help="Seconds between writes of history_file. It is also written at the end.",
    ),
    cfg.FloatOpt(
        "clock_skew",
        default=30.0,
        min=1.0,
        max=3600.0,
        help="Seconds by which the clock of a host may be off before its samples are moved to the "
        "time at which they arrive. Only for sources that send by themselves (nova).",
    ),
    cfg.StrOpt(
        "notification_transport_url",
        secret=True,
        help="Message bus of Nova's notifications. Unset: [DEFAULT] transport_url.",
    ),
    cfg.StrOpt(
        "notification_exchange",
        default="nova",
        help="Exchange of Nova's notifications: control_exchange of nova.conf, 'nova' by default.",
    ),
    cfg.ListOpt(
        "notification_topics",
        default=["notifications", "versioned_notifications"],
        help="Topics of Nova's notifications. What comes on both is taken once.",
    ),
    cfg.StrOpt(
        "notification_pool",
        default="nova-cachemig-forecaster",
        help="Name of the listener pool, which is the name of its queue. Every pool gets its own "
        "copy of each message, so that nobody else's are taken. Must not be empty, nor the "
        "name of another listener's pool.",
    ),
    cfg.URIOpt(
        "prometheus_url",
        default="http://127.0.0.1:9090",
        schemes=["http", "https"],
        help="Base URL of the Prometheus server.",
    ),
    cfg.MultiStrOpt(
        "prometheus_host_query",
        default=_NODE_QUERIES,
        help="'METRIC = PromQL' that gives one value a host; several lines. The metric named by "
        "[forecaster] metric is the one that is forecast; 'cpus', how many CPUs the host has, "
        "tells how much an instance adds to it.",
    ),
    cfg.MultiStrOpt(
        "prometheus_instance_query",
        default=[],
        help="'METRIC = PromQL' that gives one value an instance: 'cpu' in per cent of one CPU. "
        "With inovex' libvirt exporter: cpu = 100 * "
        "rate(libvirt_domain_info_cpu_time_seconds_total[5m]) * on (instance, domain) "
        "group_left (instance_id) libvirt_domain_openstack_info",
    ),
    cfg.StrOpt(
        "prometheus_host_label",
        default="instance",
        help="Label that holds the name of the host.",
    ),
    cfg.StrOpt(
        "prometheus_host_pattern",
        help="Regular expression whose group 'host' is the host's name in that label. "
        "Unset: the label is HOST, HOST:PORT or [IPV6]:PORT, as Prometheus writes 'instance'.",
    ),
    cfg.Opt(
        "prometheus_host_names",
        type=HostNames(),
        default={},
        help="Nova's name of each host whose name in the label differs: "
        "10.0.0.11:cmp1,[2001:db8::12]:cmp2. An IPv6 address matches however it is written.",
    ),
    cfg.StrOpt(
        "prometheus_instance_label",
        default="instance_id",
        help="Label that holds the UUID of the instance.",
    ),
    cfg.FloatOpt(
        "prometheus_timeout",
        default=10.0,
        min=0.1,
        max=300.0,
        help="Seconds for one answer of Prometheus.",
    ),
    cfg.StrOpt(
        "prometheus_token_file",
        help="File with a bearer token for Prometheus, read at each request.",
    ),
    cfg.StrOpt(
        "prometheus_ca_file",
        help="File with the certificates that Prometheus' own is checked against. "
        "Unset: the system's.",
    ),
]


def register(conf: cfg.ConfigOpts) -> None:
    """Make the options known to ``conf``."""
    # By name: a group object keeps what is set, for every configuration it is registered with.
    conf.register_opts(OPTS, group=GROUP.name)


def list_opts() -> list[tuple[Any, list[Any]]]:
    """Return the options for the sample generator."""
    return [(GROUP, OPTS)]
