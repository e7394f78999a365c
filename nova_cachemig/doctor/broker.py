"""Connections to RabbitMQ that show every error, without oslo.messaging's attempts to reconnect."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import socket
import ssl
import uuid
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import amqp
import oslo_messaging
from oslo_config import cfg
from oslo_messaging._drivers import amqp as oslo_amqp
from oslo_messaging._drivers import common, impl_rabbit

from nova_cachemig.doctor.verdicts.bus import REPLIES, Attempt, Fault
from nova_cachemig.rpc import bus, rabbit

_GROUP: Final = "oslo_messaging_rabbit"
_TIMEOUT: Final = 1.5
"""Seconds for each step of a connection."""
_QUORUM: Final = {"x-queue-type": "quorum", **rabbit.BOUNDS}
_NO_ROUTE: Final = frozenset({errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ENETDOWN})


class BlockedError(Exception):
    """RabbitMQ does not confirm messages: it has an alarm."""


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
    for options in (impl_rabbit.rabbit_opts, oslo_amqp.amqp_opts):
        conf.register_opts(options, group=_GROUP)
    try:
        parsed = oslo_messaging.TransportURL.parse(conf, url)
    except (oslo_messaging.InvalidTransportURL, ValueError) as exc:
        raise ValueError(str(exc)) from exc
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
        found["ssl_version"] = impl_rabbit.Connection.validate_ssl_version(options.ssl_version)
    if options.ssl_key_file:
        found["keyfile"] = options.ssl_key_file
    if options.ssl_cert_file:
        found["certfile"] = options.ssl_cert_file
    if options.ssl_ca_file:
        found |= {"ca_certs": options.ssl_ca_file, "cert_reqs": ssl.CERT_REQUIRED}
    return found or True


@contextlib.contextmanager
def connected(settings: Settings, server: Server) -> Iterator[amqp.Connection]:
    """A connection; raises OSError or AMQPError."""
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
        connect_timeout=_TIMEOUT,
        read_timeout=_TIMEOUT,
        write_timeout=_TIMEOUT,
        confirm_publish=True,
        client_properties={"product": "nova-cachemig-manage doctor"},
    )
    try:
        connection.connect()
        yield connection
    finally:
        with contextlib.suppress(Exception):  # nothing is lost with it
            connection.collect()


def attempt(settings: Settings, server: Server) -> Attempt:
    """Try to connect to one node."""
    try:
        socket.getaddrinfo(server.host, server.port, type=socket.SOCK_STREAM)
    except socket.gaierror as exc:
        return Attempt(server.name, Fault.NAME, str(exc.strerror))
    try:
        with connected(settings, server):
            return Attempt(server.name)
    except (OSError, amqp.AMQPError) as exc:
        return Attempt(server.name, fault_of(exc), _first_line(exc))


def fault_of(exc: BaseException) -> Fault:
    """Classify an error of a connection."""
    text = str(exc)
    if isinstance(exc, amqp.AccessRefused):
        return Fault.PASSWORD
    if isinstance(exc, amqp.NotAllowed):
        return Fault.NOT_ON_VHOST if "refused" in text else Fault.NO_VHOST
    if isinstance(exc, ssl.SSLCertVerificationError):
        return Fault.CERTIFICATE
    if isinstance(exc, ssl.SSLError):
        return Fault.TLS
    if isinstance(exc, FileNotFoundError | PermissionError):
        return Fault.FILE
    if isinstance(exc, TimeoutError):
        return Fault.TIMEOUT
    if isinstance(exc, ConnectionRefusedError):
        return Fault.REFUSED
    if isinstance(exc, ConnectionError | amqp.UnexpectedFrame) or "closed" in text.lower():
        return Fault.CLOSED
    if isinstance(exc, OSError) and exc.errno in _NO_ROUTE:
        return Fault.NO_ROUTE
    return Fault.OTHER


def refused_rights(connection: amqp.Connection) -> dict[str, str]:
    """Find out which rights the user lacks: right → the name of the first object.

    Declares two exclusive queues and the exchange, and deletes what it has created. Raises
    BlockedError if RabbitMQ confirms no message.
    """
    existed = has_exchange(connection, bus.EXCHANGE)
    rights = _Rights(connection)
    try:
        for queue in (f"nova-cachemig-doctor.{uuid.uuid4().hex}", f"{REPLIES}{uuid.uuid4().hex}"):
            rights.try_queue(queue)
    finally:
        if not existed:
            with contextlib.suppress(amqp.AMQPError, OSError), channel(connection) as made:
                made.exchange_delete(bus.EXCHANGE, if_unused=True)
    return rights.refused


class _Rights:
    def __init__(self, connection: amqp.Connection) -> None:
        self._connection = connection
        self.refused: dict[str, str] = {}

    def try_queue(self, queue: str) -> None:
        """Do everything that rpc does with a queue; the queue is gone afterwards."""
        name, exchange = queue.rstrip("0123456789abcdef") + "…", bus.EXCHANGE
        message = amqp.Message("{}")
        if not self._try("configure", name, lambda c: c.queue_declare(queue, exclusive=True)):
            return
        if not queue.startswith(REPLIES) and self._try("configure", exchange, _declare_exchange):
            self._try("write", name, lambda c: c.queue_bind(queue, exchange, queue), binds=True)
            self._try("write", exchange, lambda c: c.basic_publish(message, exchange, "none"))
        self._try("write", "amq.default", lambda c: c.basic_publish(message, "", queue))
        self._try("read", name, lambda c: c.basic_get(queue))
        self._try("configure", name, lambda c: c.queue_delete(queue))

    def _try(
        self,
        right: str,
        name: str,
        work: Callable[[amqp.Channel], object],
        *,
        binds: bool = False,
    ) -> bool:
        try:
            with channel(self._connection) as made:
                work(made)
        except amqp.AccessRefused as exc:
            if binds and "to exchange" in str(exc):  # a binding also needs this right
                right, name = "read", bus.EXCHANGE
            self.refused.setdefault(right, name)
            return False
        except TimeoutError as exc:
            raise BlockedError from exc
        return True


def _declare_exchange(made: amqp.Channel) -> None:
    # Its flags are another check's.
    with contextlib.suppress(amqp.PreconditionFailed):
        made.exchange_declare(bus.EXCHANGE, "topic", durable=True, auto_delete=True)


def consumers(connection: amqp.Connection, queue: str) -> int | None:
    """The number of consumers of a queue; None if it does not exist."""
    try:
        with channel(connection) as made:
            return int(made.queue_declare(queue, passive=True).consumer_count)
    except amqp.NotFound:
        return None


def has_exchange(connection: amqp.Connection, name: str) -> bool:
    """Whether an exchange exists, of any type and flags."""
    try:
        with channel(connection) as made:
            made.exchange_declare(name, "topic", passive=True)
    except amqp.NotFound:
        return False
    return True


def conflicts(connection: amqp.Connection, queues: Sequence[str]) -> list[str]:
    """Those of the exchange and these queues that exist with other flags than those of rpc."""
    found = []
    if has_exchange(connection, bus.EXCHANGE) and _differs(
        connection,
        lambda c: c.exchange_declare(bus.EXCHANGE, "topic", durable=True, auto_delete=True),
    ):
        found.append(f"exchange {bus.EXCHANGE}")
    for queue in queues:
        if consumers(connection, queue) is not None and differs(connection, queue):
            found.append(f"queue {queue}")
    return found


def differs(connection: amqp.Connection, queue: str) -> bool:
    """Whether a topic's queue has other flags than those of rpc. Creates it if it is missing."""
    return _differs(
        connection,
        lambda c: c.queue_declare(queue, durable=True, auto_delete=False, arguments=_QUORUM),
    )


def _differs(connection: amqp.Connection, declare: Callable[[amqp.Channel], object]) -> bool:
    try:
        with channel(connection) as made:
            declare(made)
    except amqp.PreconditionFailed:
        return True
    return False


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


def _first_line(exc: BaseException) -> str:
    return str(exc).strip().partition("\n")[0][:200]
