"""The RabbitMQ driver of nova-cachemig: both sides declare the same, and every queue is bounded.

oslo.messaging takes the flags of exchanges and queues from the [oslo_messaging_rabbit] section of
each process. If two processes disagree, RabbitMQ refuses the second declaration with
406 PRECONDITION_FAILED. nova-compute reads nova.conf and the agent reads another file. Deployment
tools change the flags in nova.conf only. So this driver fixes the flags. Everything else (hosts,
TLS, heartbeats, pool sizes) stays the operator's.

oslo.messaging also declares the queue of a topic without an expiry: a server that is gone for good
would leave a queue that accepts messages for ever. So every queue is declared with bounds,
and needs no policy in RabbitMQ.
"""

from __future__ import annotations

import copy
import logging
import time
import uuid
from typing import Any, Final

import oslo_messaging
from oslo_messaging._drivers import amqp, common, impl_rabbit

from nova_cachemig.rpc import outage

ENTRY_POINT: Final = "cachemig-rabbit"
"""The name among the entry points ``oslo.messaging.drivers``."""

REPLACED: Final = frozenset({"rabbit", "kombu"})
"""The names of oslo.messaging's own RabbitMQ driver."""

OPTIONS: Final = (*impl_rabbit.rabbit_opts, *amqp.amqp_opts)
"""The options of [oslo_messaging_rabbit], which may be in the query of a URL too."""

FLAGS: Final = {
    # A quorum queue survives the loss of a node of the cluster. It is durable, so is its exchange.
    "rabbit_quorum_queue": "true",
    "amqp_durable_queues": "true",
    # An exchange goes with its last queue: an uninstallation leaves nothing behind.
    "amqp_auto_delete": "true",
    "rabbit_quorum_delivery_limit": "0",
    "rabbit_quorum_max_memory_bytes": "0",
    "rabbit_quorum_max_memory_length": "0",
    "rabbit_ha_queues": "false",
    "rabbit_stream_fanout": "false",
    "rabbit_transient_quorum_queue": "false",
    # The queue manager keeps its state under [oslo_concurrency] lock_path of the global
    # configuration, which the agent does not have.
    "use_queue_manager": "false",
}
"""Options of [oslo_messaging_rabbit] that this driver fixes."""

BOUNDS: Final = {
    "x-expires": 30 * 60 * 1000,  # ms without a consumer
    "x-message-ttl": 5 * 60 * 1000,  # ms: a message about a migration is of no use later
    "x-max-length": 10_000,  # messages; the oldest is dropped
}
"""The arguments of every queue that we declare."""

REPLIES: Final = "nova-cachemig-reply."
"""Beginning of the names of queues for responses to calls.

The names of all our queues and exchanges begin with ``nova-cachemig``. So an operator can grant
rights on them, and delete them on a virtual host that is shared with Nova.
"""

_NOT_FOUND: Final = 404

REFUSED_PAUSE: Final = 1.0
"""Seconds between attempts to receive, while RabbitMQ refuses the connection."""


def own_url(url: oslo_messaging.TransportURL) -> oslo_messaging.TransportURL:
    """A copy of ``url`` that selects this driver, unless it selects another broker's."""
    if url.transport not in REPLACED:
        return url
    own = copy.copy(url)
    own.transport = ENTRY_POINT
    return own


class _Connection(impl_rabbit.Connection):
    def __init__(self, conf: Any, url: Any, *arguments: Any, **options: Any) -> None:
        hosts = ",".join(f"{host.hostname}:{host.port}" for host in url.hosts)
        self._outage = outage.of(f"{hosts}/{url.virtual_host or ''}")
        super().__init__(conf, url, *arguments, **options)

    def ensure_connection(self) -> None:
        """Connect; the errors are one line in the log."""
        with outage.observed(self._outage):
            super().ensure_connection()

    def ensure(self, *arguments: Any, **options: Any) -> Any:
        """Run a method, connected; the errors are one line in the log.

        Drops the connection after the last attempt. RabbitMQ closes the channel of a request to an
        exchange that is gone, and kombu would use this channel for ever.
        """
        with outage.observed(self._outage):
            try:
                return super().ensure(*arguments, **options)
            except oslo_messaging.MessageDeliveryFailure:
                if self.connection is not None:
                    self.connection.collect()
                raise

    def _publish(self, exchange: Any, *arguments: Any, **options: Any) -> None:
        """Send a message to an exchange that exists.

        oslo.messaging would declare the exchange first. It goes with its last queue, so without any
        queue it would stay for ever.
        """
        if not exchange.passive and exchange.name not in self._declared_exchanges:
            if not self._exists(exchange):
                if exchange.type == "fanout":  # no server listens
                    return
                reason = f"no exchange {exchange.name}"
                raise oslo_messaging.MessageUndeliverable(reason, exchange.name, None, None)
            self._declared_exchanges.add(exchange.name)
        super()._publish(exchange, *arguments, **options)

    def _exists(self, exchange: Any) -> bool:
        """Whether a server has declared the exchange. Needs no right in RabbitMQ."""
        channel = self.connection.channel()  # a separate one: the error closes it
        try:
            channel.exchange_declare(exchange.name, exchange.type, passive=True)
        except self.connection.channel_errors as exc:
            if exc.code != _NOT_FOUND:
                raise
            return False
        finally:
            channel.close()
        return True

    def consume(self, timeout: float | None = None) -> None:
        """Receive messages; slowly while RabbitMQ refuses the connection.

        It does so if the password was changed, or the virtual host deleted. oslo.messaging then
        tries again without a pause, and logs some 70 tracebacks a second.
        """
        try:
            super().consume(timeout=timeout)
        except oslo_messaging.MessageDeliveryFailure as exc:
            time.sleep(REFUSED_PAUSE)
            raise common.Timeout from exc

    def _heartbeat_thread_job(self) -> None:
        with outage.quiet(self._outage, logging.WARNING):  # it warns at each attempt
            super()._heartbeat_thread_job()

    def declare_consumer(self, consumer: Any) -> None:
        """Add the bounds; every queue is declared here."""
        consumer.queue_arguments = {**(consumer.queue_arguments or {}), **BOUNDS}
        # RabbitMQ 4 deprecates queues that are neither durable nor exclusive.
        consumer.durable = True
        # A queue outlives a restart of its consumer; it goes when it expires.
        consumer.queue_auto_delete = False
        super().declare_consumer(consumer)


class Driver(impl_rabbit.RabbitDriver):
    """oslo.messaging's RabbitMQ driver with :data:`FLAGS` and :data:`BOUNDS`."""

    def __init__(self, conf: Any, url: Any, *args: Any, **kwargs: Any) -> None:
        # Nova hands a notification driver the configuration of its own transport: a proxy, whose
        # URL has no flags. A proxy of a proxy does not read the second URL.
        while isinstance(conf, common.ConfigOptsProxy):
            conf = conf._conf
        own = copy.copy(url)
        own.transport = "rabbit"
        known = {option.dest for option in OPTIONS}
        # Values in the query of a URL take precedence over the configuration.
        own.query = {**url.query, **{k: v for k, v in FLAGS.items() if k in known}}
        self.connected = False
        """Whether the broker has ever accepted a connection for the responses to calls."""
        outage.watch(impl_rabbit.LOG.logger)
        super().__init__(conf, own, *args, **kwargs)
        self._connection_pool.connection_cls = _Connection

    def _get_reply_queue_name(self) -> str:
        return f"{REPLIES}{uuid.uuid4().hex}"

    def _get_reply_q(self) -> Any:
        queue = super()._get_reply_q()  # waits without a limit while the broker is down
        self.connected = True
        return queue
