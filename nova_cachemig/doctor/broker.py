"""The doctor's work in RabbitMQ: it connects, tries the rights, and compares the flags."""

from __future__ import annotations

import contextlib
import errno
import socket
import ssl
import uuid
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Final

import amqp

from nova_cachemig.doctor.verdicts.bus import REPLIES, Attempt, Fault
from nova_cachemig.rpc import bus, rabbit
from nova_cachemig.rpc import connection as link
from nova_cachemig.rpc.connection import Server, Settings, channel

_QUORUM: Final = {"x-queue-type": "quorum", **rabbit.BOUNDS}
_NO_ROUTE: Final = frozenset({errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ENETDOWN})


class BlockedError(Exception):
    """RabbitMQ does not confirm messages: it has an alarm."""


def connected(settings: Settings, server: Server) -> AbstractContextManager[amqp.Connection]:
    """A connection; raises OSError or AMQPError."""
    return link.connected(settings, server, program="nova-cachemig-manage doctor")


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


def _first_line(exc: BaseException) -> str:
    return str(exc).strip().partition("\n")[0][:200]
