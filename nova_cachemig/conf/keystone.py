"""The options of keystoneauth1 for a service of OpenStack: account, session and endpoint."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keystoneauth1 import loading
from oslo_config import cfg, types

INTERFACES = ("internal", "public", "admin")
_PLUGINS = ("password", "v3applicationcredential")
"""Those whose options the sample lists. Any other plugin works too."""


def endpoint_opts(
    service: str, service_type: str, example: str, interface: Sequence[cfg.DeprecatedOpt] = ()
) -> list[Any]:
    """Return the options of an endpoint that have another default or help than keystoneauth1's.

    ``service`` is the name for the help, ``example`` the URL of an endpoint, and ``interface`` are
    former names of valid_interfaces.
    """
    return [
        cfg.StrOpt(
            "service_type",
            default=service_type,
            help=f"Type of {service}'s service in the service catalogue.",
        ),
        cfg.StrOpt(
            "region_name",
            help=f"Region of the {service_type} endpoint. Unset: the first one in the service "
            "catalogue.",
        ),
        cfg.ListOpt(
            "valid_interfaces",
            default=["internal", "public"],
            item_type=types.String(choices=INTERFACES),
            deprecated_opts=list(interface),
            help=f"Interfaces of the {service_type} endpoint in the service catalogue, in order of "
            f"preference: {', '.join(INTERFACES)}.",
        ),
        cfg.StrOpt(
            "endpoint_override",
            help=f"URL of the {service_type} endpoint, for instance {example}. Unset: the one in "
            "the service catalogue.",
        ),
    ]


def register(conf: cfg.ConfigOpts, group: cfg.OptGroup, own: Sequence[Any]) -> None:
    """Register ``own`` and the options of keystoneauth1 that it does not replace."""
    # A separate group object: oslo.config copies an OptGroup shallowly and would share overrides.
    conf.register_group(cfg.OptGroup(group.name, title=group.title))
    conf.register_opts(_with_adapter(own), group=group.name)
    loading.register_auth_conf_options(conf, group.name)
    loading.register_session_conf_options(conf, group.name)


def list_opts(group: cfg.OptGroup, own: Sequence[Any]) -> list[tuple[Any, list[Any]]]:
    """Return the same options for the sample generator."""
    auth = {
        option.dest: option
        for plugin in _PLUGINS
        for option in loading.get_auth_plugin_conf_options(plugin)
    }
    common = loading.get_auth_common_conf_options() + loading.get_session_conf_options()
    return [(group, _with_adapter(own) + list(auth.values()) + common)]


def _with_adapter(own: Sequence[Any]) -> list[Any]:
    names = {option.dest for option in own}
    adapter = loading.get_adapter_conf_options(include_deprecated=False)
    return [*own, *(option for option in adapter if option.dest not in names)]
