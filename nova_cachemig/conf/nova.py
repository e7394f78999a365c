"""Access to Nova's API with an account that may read servers and migrations."""

from __future__ import annotations

from typing import Any

from keystoneauth1 import loading
from oslo_config import cfg, types

GROUP = cfg.OptGroup("nova", title="Access to Nova's API, with keystoneauth1")

INTERFACES = ("internal", "public", "admin")


def _adapter_opts() -> list[Any]:
    """Return keystoneauth1's options of an endpoint, with the defaults above."""
    own = {option.dest: option for option in OPTS}
    of_keystoneauth = loading.get_adapter_conf_options(include_deprecated=False)
    return [own.get(option.dest, option) for option in of_keystoneauth]


OPTS = [
    cfg.StrOpt(
        "service_type",
        default="compute",
        help="Type of Nova's service in the service catalogue.",
    ),
    cfg.StrOpt(
        "region_name",
        help="Region of the compute endpoint. Unset: the first one in the service catalogue.",
    ),
    cfg.ListOpt(
        "valid_interfaces",
        default=["internal", "public"],
        item_type=types.String(choices=INTERFACES),
        deprecated_opts=[cfg.DeprecatedOpt("interface", group=GROUP.name)],
        help="Interfaces of the compute endpoint in the service catalogue, in order of preference: "
        f"{', '.join(INTERFACES)}.",
    ),
    cfg.StrOpt(
        "endpoint_override",
        help="URL of the compute endpoint, for instance https://nova.example.org:8774/v2.1. Unset: "
        "the one in the service catalogue.",
    ),
]


def register(conf: cfg.ConfigOpts) -> None:
    """Register the options with ``conf``, including those of keystoneauth1."""
    # A separate group object: oslo.config copies an OptGroup shallowly and would share overrides.
    conf.register_group(cfg.OptGroup(GROUP.name, title=GROUP.title))
    conf.register_opts(_adapter_opts(), group=GROUP.name)
    loading.register_auth_conf_options(conf, GROUP.name)
    loading.register_session_conf_options(conf, GROUP.name)


def list_opts() -> list[tuple[Any, list[Any]]]:
    """Return the options for the sample generator."""
    auth = {
        option.dest: option
        for plugin in ("password", "v3applicationcredential")
        for option in loading.get_auth_plugin_conf_options(plugin)
    }
    common = loading.get_auth_common_conf_options() + loading.get_session_conf_options()
    return [(GROUP, _adapter_opts() + list(auth.values()) + common)]
