"""Access to Nova's API with an account that can list servers and migrations."""

from __future__ import annotations

from typing import Any

from keystoneauth1 import loading
from oslo_config import cfg

GROUP = cfg.OptGroup("nova", title="Access to Nova's API, with keystoneauth1")

OPTS = [
    cfg.StrOpt(
        "region_name",
        help="Region of the compute endpoint. Unset: the first one in the service catalogue.",
    ),
    cfg.StrOpt(
        "interface",
        default="internal",
        choices=["internal", "public", "admin"],
        help="Interface of the compute endpoint in the service catalogue.",
    ),
]


def register(conf: cfg.ConfigOpts) -> None:
    """Register the options with ``conf``, including those of keystoneauth1."""
    # A separate group object: oslo.config copies an OptGroup shallowly and would share overrides.
    conf.register_group(cfg.OptGroup(GROUP.name, title=GROUP.title))
    conf.register_opts(OPTS, group=GROUP.name)
    loading.register_auth_conf_options(conf, GROUP.name)
    loading.register_session_conf_options(conf, GROUP.name)


def list_opts() -> list[tuple[Any, list[Any]]]:
    """Return the options for the sample generator."""
    auth = loading.get_auth_plugin_conf_options("password") + loading.get_auth_common_conf_options()
    return [(GROUP, OPTS + auth + loading.get_session_conf_options())]
