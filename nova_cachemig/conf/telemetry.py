"""Options of telemetry: the sources of samples, and how long samples are kept."""

from __future__ import annotations

import ipaddress
from typing import Any

from oslo_config import cfg, types

GROUP = cfg.OptGroup("telemetry", title="Telemetry")

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

    A HOST that is an IPv6 address may be in brackets: ``[2001:db8::11]:cmp1``. Without them it
    ends at the last colon. Any other HOST ends at the first colon.
    """

    def __init__(self) -> None:
        super().__init__(type_name="dict value")

    def __call__(self, value: str | dict[str, str]) -> dict[str, str]:
        """Return the name of each host. Raises ValueError if the text is not such a list."""
        if isinstance(value, dict):
            return value
        names: dict[str, str] = {}
        for pair in filter(None, map(str.strip, value.split(","))):
            host, name = _split(pair)
            if not host or not name:
                raise ValueError(f"not HOST:NAME: {pair!r}")
            if ":" in name and not _is_ipv6(name):
                raise ValueError(f"write the host without its port: {pair!r}")
            if host in names or _shortest(host) in map(_shortest, names):
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
    if not _is_ipv6(host.strip()):
        host, _, name = pair.partition(":")
    return host.strip(), name.strip()


def _is_ipv6(text: str) -> bool:
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return True


def _shortest(host: str) -> str:
    """Return an IPv6 address in its shortest form, and any other name unchanged."""
    return str(ipaddress.IPv6Address(host)) if _is_ipv6(host) else host


class HttpUrl(types.URI):
    """A URL with the scheme http or https that may contain a password: no error shows it."""

    def __init__(self) -> None:
        super().__init__(schemes=["http", "https"])

    def __call__(self, value: str) -> str:
        """Return the URL. Raises ValueError."""
        try:
            return str(super().__call__(value))
        except ValueError:
            raise ValueError("not a URL that begins with http:// or https://") from None


OPTS = [
    cfg.ListOpt(
        "sources",
        default=["nova"],
        help="Sources to read: names of entry points in nova_cachemig.telemetry. The source nova "
        "receives the load that compute hosts report; it needs compute_monitors = "
        "cpu.virt_driver and the notification driver cachemig in their nova.conf. The source "
        "prometheus queries a Prometheus server. The source gnocchi queries Gnocchi: see "
        "[gnocchi]. The source none reads nothing.",
    ),
    cfg.ListOpt(
        "known_hosts",
        default=[],
        help="Hosts whose samples are accepted, as Nova names them. Empty: all hosts, up to "
        "max_hosts.",
    ),
    cfg.IntOpt(
        "max_hosts",
        default=10_000,
        min=1,
        max=1_000_000,
        help="Maximum number of hosts whose samples are kept. Limits the memory used.",
    ),
    cfg.IntOpt(
        "max_instances",
        default=50_000,
        min=0,
        max=10_000_000,
        help="Maximum number of instances whose samples are kept. 0: none.",
    ),
    cfg.IntOpt(
        "resolution",
        default=60,
        min=1,
        max=3600,
        help="Length in seconds of a cell of a host's history. The samples of a cell are "
        "averaged. The cells of instances are five times as long.",
    ),
    cfg.IntOpt(
        "keep",
        default=7 * 86400,
        min=3600,
        max=62 * 86400,
        help="Seconds of history of the metric that is forecast. A week of 1,000 hosts takes 50 "
        "MB. Daily patterns need at least three days. Other metrics, and instances, are "
        "kept for at most a day.",
    ),
    cfg.StrOpt(
        "history_file",
        default="/var/lib/nova-cachemig/load-history.npz",
        help="File that keeps the history across restarts of the forecaster.",
    ),
    cfg.IntOpt(
        "save_interval",
        default=600,
        min=10,
        help="Seconds between writes of history_file. It is also written on exit.",
    ),
    cfg.FloatOpt(
        "clock_skew",
        default=30.0,
        min=1.0,
        max=3600.0,
        help="Maximum error of a host's clock in seconds. The samples of a host with a larger "
        "error are moved to their time of arrival. Applies only to sources that push "
        "samples (nova).",
    ),
    cfg.StrOpt(
        "topic",
        default="nova-cachemig-samples",
        help="RPC topic on which the compute hosts report their load. Must equal [cachemig] "
        "samples_topic in nova.conf.",
    ),
    cfg.ListOpt(
        "transport_urls",
        default=[],
        secret=True,
        help="Message buses on which the compute hosts report their load, for instance one for "
        "each cell. Empty: [forecaster] transport_url. Hosts that report on none of them are "
        "unknown to the schedulers.",
    ),
    cfg.Opt(
        "prometheus_url",
        type=HttpUrl(),
        default="http://127.0.0.1:9090",
        secret=True,
        help="Base URL of the Prometheus server, or of Thanos, Mimir or another server with "
        "Prometheus' HTTP API. It may contain a user and a password; prometheus_user is better.",
    ),
    cfg.MultiStrOpt(
        "prometheus_host_query",
        default=_NODE_QUERIES,
        help="'METRIC = PromQL' with one value per host; may be given several times. The metric "
        "named by [forecaster] metric is forecast. The metric 'cpus', the number of CPUs, "
        "determines how much load an instance adds to a host.",
    ),
    cfg.MultiStrOpt(
        "prometheus_instance_query",
        default=[],
        help="'METRIC = PromQL' with one value per instance: 'cpu' in % of one CPU. With "
        "the libvirt exporter of inovex: cpu = 100 * "
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
        help="Regular expression that finds the host's name in the label, as the group 'host'. "
        "Unset: the label is HOST, HOST:PORT or [IPV6]:PORT, the usual forms of the label "
        "'instance'.",
    ),
    cfg.Opt(
        "prometheus_host_names",
        type=HostNames(),
        default={},
        help="Names of hosts in Nova that differ from their names in the label: "
        "10.0.0.11:cmp1,[2001:db8::12]:cmp2. Any notation of an IPv6 address matches.",
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
        help="Seconds for a response of Prometheus, up to its last byte.",
    ),
    cfg.StrOpt(
        "prometheus_user",
        help="User name for HTTP basic authentication to Prometheus. Needs prometheus_password or "
        "prometheus_password_file. Unset: no basic authentication.",
    ),
    cfg.StrOpt(
        "prometheus_password",
        secret=True,
        help="Password of prometheus_user.",
    ),
    cfg.StrOpt(
        "prometheus_password_file",
        help="File with the password of prometheus_user. It is read for each request.",
    ),
    cfg.StrOpt(
        "prometheus_token_file",
        help="File with a bearer token for Prometheus. It is read for each request.",
    ),
    cfg.MultiStrOpt(
        "prometheus_header",
        default=[],
        secret=True,
        help="'NAME: VALUE', a header of each request to Prometheus; may be given several times. "
        "Mimir and Thanos: 'X-Scope-OrgID: TENANT'.",
    ),
    cfg.StrOpt(
        "prometheus_ca_file",
        help="File with the CA certificates that verify Prometheus' certificate. Unset: those of "
        "the system.",
    ),
    cfg.StrOpt(
        "prometheus_cert_file",
        help="File with the client certificate for Prometheus, in PEM format. It is read at the "
        "start. Unset: none.",
    ),
    cfg.StrOpt(
        "prometheus_key_file",
        help="File with the private key of prometheus_cert_file, unencrypted, in PEM format. "
        "Unset: prometheus_cert_file also contains the key.",
    ),
]


def register(conf: cfg.ConfigOpts) -> None:
    """Register the options with ``conf``."""
    # By name: a group object is shared between configurations, and so are its options.
    conf.register_opts(OPTS, group=GROUP.name)


def list_opts() -> list[tuple[Any, list[Any]]]:
    """Return the options for the sample generator."""
    return [(GROUP, OPTS)]
