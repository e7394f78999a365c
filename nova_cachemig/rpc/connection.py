"""Connections to RabbitMQ that show every error, without oslo.messaging's attempts to reconnect."""

from __future__ import annotations

import contextlib
import dataclasses
import ssl
from collections.abc import Iterator
from typing import Any, Final

import amqp
from oslo_config import cfg
from oslo_messaging._drivers import common, impl_rabbit

from nova_cachemig.rpc import bus, rabbit

_GROUP: Final = "oslo_messaging_rabbit"
_TIMEOUT: Final = 1.5
"""Seconds for each step of a connection."""


@dataclasses.dataclass(frozen=True, slots=True)
class Server:
    """One node of RabbitMQ in a transport URL."""

    host: str
    port: int
    user: str
    password: str

    @property
    def name(self) -> str:
        """``HOST:PORT``, with brackets around an IPv6 address."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclasses.dataclass(frozen=True, slots=True)
class Settings:
    """A transport URL with the options of [oslo_messaging_rabbit]."""

    servers: tuple[Server, ...]
    vhost: str
    tls: dict[str, Any] | bool
    login: str

    @property
    def user(self) -> str:
        """The user on the first node."""
        return self.servers[0].user


def settings(conf: cfg.ConfigOpts, url: str | None) -> Settings | None:
    """Read what oslo.messaging would; None if the bus is no RabbitMQ.

    ``url`` None: [DEFAULT] transport_url. Raises ValueError if there is none, or it is malformed.
    """
    conf.register_opts(rabbit.OPTIONS, group=_GROUP)
    parsed = bus.parse_url(conf, url)
    if parsed.transport not in {*rabbit.REPLACED, rabbit.ENTRY_POINT}:
        return None
    if not parsed.hosts:
        raise ValueError("transport_url has no host")
    options = common.ConfigOptsProxy(conf, parsed, _GROUP)[_GROUP]
    servers = tuple(
        Server(
            host.hostname or "localhost",
            host.port or 5672,
            host.username or "",
            host.password or "",
        )
        for host in parsed.hosts
    )
    return Settings(servers, parsed.virtual_host or "/", _tls(options), options.rabbit_login_method)


def _tls(options: Any) -> dict[str, Any] | bool:
    if not options.ssl:
        return False
    found: dict[str, Any] = {}
    if options.ssl_version:
        try:
            found["ssl_version"] = impl_rabbit.Connection.validate_ssl_version(options.ssl_version)
        except RuntimeError as exc:
            raise ValueError(f"ssl_version={options.ssl_version}: {exc}") from exc
    if options.ssl_key_file:
        found["keyfile"] = options.ssl_key_file
    if options.ssl_cert_file:
        found["certfile"] = options.ssl_cert_file
    if options.ssl_ca_file:
        found |= {"ca_certs": options.ssl_ca_file, "cert_reqs": ssl.CERT_REQUIRED}
    return found or True


@contextlib.contextmanager
def connected(
    settings: Settings, server: Server, *, program: str, heartbeat: int = 0, confirm: bool = True
) -> Iterator[amqp.Connection]:
    """A connection; raises OSError or AMQPError.

    ``program``: the name that RabbitMQ shows for it. ``heartbeat``: seconds, 0 for none.
    ``confirm``: each message that is sent waits for RabbitMQ's confirmation.
    """
    tls = settings.tls
    if isinstance(tls, dict) and "ca_certs" in tls:  # as oslo.messaging and kombu
        tls = {**tls, "server_hostname": server.host}
    connection = amqp.Connection(
        server.name,
        userid=server.user,
        password=server.password,
        virtual_host=settings.vhost,
        login_method=settings.login,
        ssl=tls,
        heartbeat=heartbeat,
        connect_timeout=_TIMEOUT,
        read_timeout=_TIMEOUT,
        write_timeout=_TIMEOUT,
        confirm_publish=confirm,
        client_properties={"product": program, "connection_name": program},
    )
    try:
        connection.connect()
        yield connection
    finally:
        with contextlib.suppress(Exception):  # nothing is lost with it
            connection.collect()


@contextlib.contextmanager
def channel(connection: amqp.Connection) -> Iterator[amqp.Channel]:
    """A separate channel, because an error closes it."""
    made = connection.channel()
    try:
        yield made
    finally:
        if made.is_open and made.connection is not None:
            with contextlib.suppress(amqp.AMQPError, OSError):
                made.close()
