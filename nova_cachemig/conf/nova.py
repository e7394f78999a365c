"""Access to Nova's API with an account that may read servers and migrations."""

from __future__ import annotations

from typing import Any

from oslo_config import cfg

from nova_cachemig.conf import keystone

GROUP = cfg.OptGroup("nova", title="Access to Nova's API, with keystoneauth1")

OPTS = keystone.endpoint_opts(
    "Nova",
    "compute",
    "https://nova.example.org:8774/v2.1",
    interface=[cfg.DeprecatedOpt("interface", group=GROUP.name)],
)


def register(conf: cfg.ConfigOpts) -> None:
    """Register the options with ``conf``, including those of keystoneauth1."""
    keystone.register(conf, GROUP, OPTS)


def list_opts() -> list[tuple[Any, list[Any]]]:
    """Return the options for the sample generator."""
    return keystone.list_opts(GROUP, OPTS)
