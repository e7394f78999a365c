"""Options of the source gnocchi: access to Gnocchi's API, and what to read from it."""

from __future__ import annotations

from typing import Any

from oslo_config import cfg

from nova_cachemig.conf import keystone

GROUP = cfg.OptGroup("gnocchi", title="Access to Gnocchi's API, with keystoneauth1, and queries")

OPTS = [
    *keystone.endpoint_opts("Gnocchi", "metric", "https://gnocchi.example.org:8041"),
    cfg.IntOpt(
        "granularity",
        default=300,
        min=1,
        max=3600,
        help="Seconds that each aggregate covers. The archive policy of every metric must have "
        "this granularity. Ceilometer's default policy has 300.",
    ),
    cfg.MultiStrOpt(
        "host_query",
        default=["cpu = (aggregate mean (metric compute.node.cpu.percent mean))"],
        help="'METRIC = OPERATIONS' with one aggregated series per host, in the language of "
        "Gnocchi's dynamic aggregates; may be given several times. The metric named by "
        "[forecaster] metric is forecast. The metric 'cpus', the number of CPUs, determines how "
        "much load an instance adds to a host.",
    ),
    cfg.StrOpt(
        "host_resource_type",
        default="nova_compute",
        help="Type of the resources to which host_query applies.",
    ),
    cfg.StrOpt(
        "host_attribute",
        default="host_name",
        help="Attribute of these resources that holds the name of the host.",
    ),
    cfg.StrOpt(
        "host_pattern",
        default=r"^(compute\.)?(?P<host>.+)$",
        help="Regular expression that finds the host's name in host_attribute, as the group "
        "'host'. Ceilometer writes 'compute.' before the name.",
    ),
    cfg.MultiStrOpt(
        "instance_query",
        default=[],
        help="'METRIC = OPERATIONS' with one aggregated series per instance: 'cpu' in % of one "
        "CPU. If Ceilometer measures instances every 300 seconds: cpu = (/ (aggregate mean "
        "(metric cpu rate:mean)) 3000000000)",
    ),
    cfg.StrOpt(
        "instance_resource_type",
        default="instance",
        help="Type of the resources to which instance_query applies. Their id is the instance's "
        "UUID.",
    ),
    cfg.StrOpt(
        "instance_host_attribute",
        default="host",
        help="Attribute of these resources that holds the name of the instance's host in Nova.",
    ),
]


def register(conf: cfg.ConfigOpts) -> None:
    """Register the options with ``conf``, including those of keystoneauth1."""
    keystone.register(conf, GROUP, OPTS)


def list_opts() -> list[tuple[Any, list[Any]]]:
    """Return the options for the sample generator."""
    return keystone.list_opts(GROUP, OPTS)
