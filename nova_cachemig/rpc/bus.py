"""The message bus: transport, exchange, targets, and the types that may travel.

The exchange has a fixed name. ``control_exchange`` is not used: it is 'nova' in nova.conf and
'openstack' in the agent's file, and both sides must name the same exchange.
"""

from __future__ import annotations

import contextlib
import importlib
import socket
from collections.abc import Mapping
from importlib import metadata
from typing import Any, Final

import oslo_messaging
from oslo_config import cfg

from nova_cachemig.rpc import rabbit

EXCHANGE: Final = "nova-cachemig.rpc"
"""Not "nova-cachemig": earlier versions declared that one with other flags, see ``rabbit``."""

ECHO: Final = "cachemig.echo"
"""The namespace of the casts that a server sends to itself."""

_AMQP_PORT: Final = 5672
_NO_RPC: Final = frozenset({"kafka"})
"""Drivers of oslo.messaging that carry notifications only."""

Context = Mapping[str, Any]
"""The context of a request. Only ``request_id`` travels, and the ``age`` of a cast in seconds."""

# oslo.messaging reads these groups from the configuration it is given but registers them on
# cfg.CONF only.
_GLOBAL_GROUPS: Final = {
    "oslo_messaging_metrics": "oslo_messaging._metrics.client",
    "oslo_messaging_tracing": "oslo_messaging._tracing.client",
}


class NotPrimitiveError(TypeError):
    """The caller tried to send something that is not a primitive of JSON."""


def target(
    topic: str, version: str, server: str | None = None, *, namespace: str | None = None
) -> oslo_messaging.Target:
    """The address of ``topic``; with ``server``, the address of one server on it."""
    return oslo_messaging.Target(
        exchange=EXCHANGE, topic=topic, version=version, server=server, namespace=namespace
    )


def transport(conf: cfg.ConfigOpts, url: str | None) -> oslo_messaging.RPCTransport:
    """A new transport, so that nova-cachemig never waits for a connection of Nova's.

    ``url`` None: [DEFAULT] transport_url of ``conf``.
    """
    for group, module in _GLOBAL_GROUPS.items():
        with contextlib.suppress(ImportError):  # newer than the oldest supported release
            conf.register_opts(getattr(importlib.import_module(module), group), group=group)
    parsed = oslo_messaging.TransportURL.parse(conf, url)
    return oslo_messaging.get_rpc_transport(conf, url=rabbit.own_url(parsed))


def parse_url(conf: cfg.ConfigOpts, url: str | None) -> oslo_messaging.TransportURL:
    """Parse ``url``; None: [DEFAULT] transport_url. Raises ValueError, which the operator sees."""
    try:
        parsed = oslo_messaging.TransportURL.parse(conf, url)
    except oslo_messaging.InvalidTransportURL as exc:
        raise ValueError(str(exc)) from exc
    except (cfg.NoSuchOptError, cfg.TemplateSubstitutionError) as exc:
        raise ValueError("write $$ for a dollar sign") from exc
    drivers = metadata.entry_points(group="oslo.messaging.drivers").names
    if parsed.transport not in drivers:
        raise ValueError(f"no message bus has the scheme {parsed.transport}://, write rabbit://")
    if parsed.transport in _NO_RPC:
        raise ValueError(
            f"{parsed.transport}:// carries notifications but no RPC: name a RabbitMQ, rabbit://"
        )
    if parsed.transport in {*rabbit.REPLACED, rabbit.ENTRY_POINT}:
        _check_query(parsed.query)
    return parsed


def _check_query(query: Mapping[str, str]) -> None:
    """Raise ValueError, which names the option, if one in the URL has no valid value."""
    options = {option.dest: option for option in rabbit.OPTIONS}
    for name, value in query.items():
        if name in options:
            try:
                options[name].type(value)
            except ValueError as exc:
                raise ValueError(f"{name}={value}: {exc}") from exc


def require_url(conf: cfg.ConfigOpts, url: str | None = None) -> None:
    """Raise cfg.Error if no message bus is configured: oslo.messaging would try localhost."""
    try:
        parsed = parse_url(conf, url)
    except ValueError as exc:
        raise cfg.Error(f"transport_url is not valid: {exc}") from exc
    if parsed.transport in rabbit.REPLACED and not parsed.hosts:
        raise cfg.Error(
            "[DEFAULT] transport_url is not set: set it to the message bus that nova-compute uses, "
            "normally the transport_url of nova.conf"
        )


def connected(transport: oslo_messaging.RPCTransport) -> bool:
    """Whether the broker has accepted a connection for calls. True for a driver of another bus."""
    return bool(getattr(transport._driver, "connected", True))


def why_unreachable(conf: cfg.ConfigOpts, url: str | None) -> str:
    """Try a TCP connection to each broker, one second each; a clause for the operator."""
    found = []
    for host in oslo_messaging.TransportURL.parse(conf, url).hosts:
        where = (host.hostname, host.port or _AMQP_PORT)
        try:
            with socket.create_connection(where, timeout=1.0):
                reason = "accepts connections, but no login: check user, password, vhost and TLS"
        except OSError as exc:
            reason = exc.strerror or str(exc)
        found.append(f"{where[0]}:{where[1]}: {reason}")
    return "; ".join(found) or "transport_url names no host"


def check_primitive(value: Any, where: str = "value") -> None:
    """Raise :class:`NotPrimitiveError`, which names the place, if ``value`` is more than JSON."""
    if value is None or isinstance(value, bool | int | float | str):
        # An enum that is also a str would pass json.dumps and come back as a plain str.
        if type(value) not in {type(None), bool, int, float, str}:
            raise NotPrimitiveError(f"{where} is a {type(value).__name__}")
    elif isinstance(value, dict):
        for key, item in value.items():
            if type(key) is not str:
                raise NotPrimitiveError(f"{where} has a key that is a {type(key).__name__}")
            check_primitive(item, f"{where}[{key!r}]")
    elif isinstance(value, list):
        for number, item in enumerate(value):
            check_primitive(item, f"{where}[{number}]")
    else:
        raise NotPrimitiveError(f"{where} is a {type(value).__name__}")


class PrimitiveSerializer(oslo_messaging.NoOpSerializer):
    """Refuses values that oslo.messaging would convert silently."""

    def serialize_entity(self, ctxt: Any, entity: Any) -> Any:
        """The entity unchanged; raises :class:`NotPrimitiveError`."""
        check_primitive(entity)
        return entity

    def serialize_context(self, ctxt: Context) -> dict[str, Any]:
        """Only the request id and the age: no token and no user is ever sent."""
        request, age = ctxt.get("request_id"), ctxt.get("age")
        sent: dict[str, Any] = {"request_id": str(request)} if request else {}
        return sent if age is None else sent | {"age": float(age)}
