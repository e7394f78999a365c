"""Which of several agents serves a topic: RabbitMQ deals the messages of a queue to all consumers.

Two agents on one topic would each receive a part of the messages of one migration. So the agent
that serves a topic is its *owner*: it holds an exclusive queue, which only the connection that
declared it can use and which goes with this connection. Another agent that finds the queue in use
asks its holder over this same queue. If an agent responds, the asking one steps back until the
queue is gone. If none responds, the queue belongs to a connection that broke, and RabbitMQ has yet
to notice.

* The earlier agent serves, the later one steps back. One that holds the queue never steps back, so
  two never both do.
* One that has stepped back leaves the owner :data:`GRACE` seconds to come back, so that a restart
  of RabbitMQ or of the owner does not move the topic.
* If RabbitMQ is down or refuses the queue, an agent serves as it did before.
"""

from __future__ import annotations

import contextlib
import dataclasses
import enum
import json
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Final

import amqp
from oslo_config import cfg
from oslo_log import log

from nova_cachemig.rpc import connection as link
from nova_cachemig.rpc.faults import Faults
from nova_cachemig.rpc.remedies import remedy

LOG = log.getLogger(__name__)

PREFIX: Final = "nova-cachemig.owner."
"""Begins the name of the queue for every topic, because the user has the rights on it."""
GRACE: Final = 10.0
"""Seconds for which the queue of another agent must be gone before this agent takes it."""
RETRY: Final = 1.0
"""Seconds between attempts while this agent serves."""
POLL: Final = 5.0
"""Seconds between attempts while another agent serves."""
RESPONSE_TIMEOUT: Final = 3.0
"""Seconds in which the holder of the queue responds."""
_HEARTBEAT: Final = 20
"""Seconds. RabbitMQ closes a connection whose host is gone after twice this time."""
_REPLY_TO: Final = "amq.rabbitmq.reply-to"
"""RabbitMQ's pseudo-queue for one response. It needs no right."""
_ARGUMENTS: Final = {
    "x-queue-type": "classic",  # the virtual host may have another default
    "x-max-length": 100,
    "x-message-ttl": int(RESPONSE_TIMEOUT * 1000),
}


class Claim(enum.Enum):
    """An agent's view of the owner of its topic."""

    UNKNOWN = enum.auto()  # RabbitMQ has not said
    OURS = enum.auto()
    STALE = enum.auto()  # of a connection behind which no agent responds
    OTHERS = enum.auto()


@dataclasses.dataclass(frozen=True, slots=True)
class Owner:
    """An agent, as it describes itself. ``process`` is unique; ``host`` may be misconfigured."""

    host: str
    process: str

    def to_bytes(self) -> bytes:
        """Return the response to a question."""
        return json.dumps(dataclasses.asdict(self)).encode()

    @classmethod
    def from_bytes(cls, data: str | bytes) -> Owner:
        """Parse a response. One that is malformed still comes from an agent."""
        try:
            found = json.loads(data)
            return cls(str(found["host"])[:255], str(found["process"])[:255])
        except (ValueError, KeyError, TypeError):
            return cls("?", "?")


def judge(us: Owner, holder: Owner | None) -> Claim:
    """Decide on a queue that another connection holds. ``holder``: its response, or None."""
    if holder is None or holder.process == us.process:
        return Claim.STALE
    return Claim.OTHERS


class TopicOwner:
    """Tries to own ``topic`` in a thread, from :meth:`start` to :meth:`stop`.

    ``url`` None: [DEFAULT] transport_url of ``conf``. For a bus that is no RabbitMQ, no agent ever
    finds another.
    """

    def __init__(self, conf: cfg.ConfigOpts, topic: str, host: str, url: str | None = None) -> None:
        self._conf = conf
        self._url = url
        self._queue = PREFIX + topic
        self._us = Owner(host, uuid.uuid4().hex)
        self._faults = Faults()
        self._cause = f"cannot find out whether another agent serves topic {topic}"
        self._changed: Callable[[], None] = lambda: None
        self._claim = Claim.UNKNOWN
        self._other: Owner | None = None
        self._decided = threading.Event()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def claim(self) -> Claim:
        """The present view of the owner."""
        return self._claim

    @property
    def other(self) -> str | None:
        """The host of another agent that serves the topic; None: this one should serve."""
        other = self._other
        return other.host if other is not None else None

    def start(self, changed: Callable[[], None]) -> None:
        """Begin; ``changed`` is called in a thread whenever :attr:`other` may have changed."""
        self._changed = changed
        name = "cachemig-topic-owner"
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def wait_decided(self, timeout: float) -> bool:
        """Wait for the first result, which may be that the bus does not say."""
        return self._decided.wait(timeout)

    def stop(self, timeout: float = 5.0) -> None:
        """Give the topic up, so that another agent can own it."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(timeout)

    # -- the thread ------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            settings = link.settings(self._conf, self._url)
        except ValueError:
            settings = None  # the server says so itself
        if settings is None:
            self._decided.set()
            return
        while not self._stopping.is_set():
            for server in settings.servers:
                if self._try(settings, server):
                    break
            self._decided.set()
            self._stopping.wait(POLL if self._claim is Claim.OTHERS else RETRY)

    def _try(self, settings: link.Settings, server: link.Server) -> bool:
        """Whether this node of RabbitMQ could be asked."""
        try:
            with link.connected(
                settings,
                server,
                program=f"nova-cachemig-agent {self._us.host}",
                heartbeat=_HEARTBEAT,
                confirm=False,
            ) as connection:
                self._claim_on(connection)
        except OSError as exc:
            # The last result stays: RabbitMQ may be restarting, and the owner with it.
            LOG.debug("the owner of %s is unknown: %s", self._queue, exc)
            self._set(Claim.OTHERS if self._claim is Claim.OTHERS else Claim.UNKNOWN, self._other)
            return False
        except amqp.AMQPError as exc:
            LOG.debug("the owner of %s is unknown: %s", self._queue, exc)
            if isinstance(exc, amqp.AccessRefused) and self._queue in str(exc):
                self._faults.note(self._cause, f"{remedy(exc)} ({exc})")
            closed = isinstance(exc, amqp.RecoverableConnectionError | amqp.ConnectionForced)
            keep = closed and self._claim is Claim.OTHERS
            self._set(Claim.OTHERS if keep else Claim.UNKNOWN, self._other if keep else None)
            return False
        return True

    def _claim_on(self, connection: amqp.Connection) -> None:
        if self._claim is Claim.OTHERS and not self._is_free(connection):
            return
        with link.channel(connection) as channel:
            try:
                channel.queue_declare(
                    self._queue, exclusive=True, auto_delete=True, arguments=_ARGUMENTS
                )
            except amqp.ResourceLocked:
                pass
            else:
                self._hold(connection, channel)
                return
        holder = self._ask(connection)
        claim = judge(self._us, holder)
        self._set(claim, holder if claim is Claim.OTHERS else None)

    def _is_free(self, connection: amqp.Connection) -> bool:
        """Whether the queue of the other agent is gone, now and after :data:`GRACE` seconds."""
        for pause in (0.0, GRACE):
            if self._stopping.wait(pause):
                return False
            connection.send_heartbeat()
            try:
                with link.channel(connection) as channel:
                    channel.queue_declare(self._queue, passive=True)
            except amqp.NotFound:
                continue
            except amqp.ResourceLocked:
                pass
            return False
        return True

    def _hold(self, connection: amqp.Connection, channel: amqp.Channel) -> None:
        """Own the topic and say so to others, until the connection breaks or the agent stops."""

        def respond(question: amqp.Message) -> None:
            reply_to = question.properties.get("reply_to")
            if reply_to:
                channel.basic_publish(amqp.Message(self._us.to_bytes()), "", reply_to)

        channel.basic_consume(self._queue, no_ack=True, callback=respond)
        self._faults.recovered(self._cause)
        self._set(Claim.OURS, None)
        while not self._stopping.is_set():
            with contextlib.suppress(TimeoutError):
                connection.drain_events(timeout=0.5)
            connection.heartbeat_tick()

    def _ask(self, connection: amqp.Connection) -> Owner | None:
        """Ask who holds the queue; None without a response."""
        responses: list[Owner] = []
        with link.channel(connection) as channel:
            channel.basic_consume(
                _REPLY_TO,
                no_ack=True,
                callback=lambda message: responses.append(Owner.from_bytes(message.body)),
            )
            channel.basic_publish(amqp.Message("", reply_to=_REPLY_TO), "", self._queue)
            for left in _until(time.monotonic() + RESPONSE_TIMEOUT):
                if responses or self._stopping.is_set():
                    break
                with contextlib.suppress(TimeoutError):
                    connection.drain_events(timeout=min(left, 0.5))
        return responses[0] if responses else None

    def _set(self, claim: Claim, other: Owner | None) -> None:
        changed = (claim, other) != (self._claim, self._other)
        self._claim, self._other = claim, other
        self._decided.set()
        if changed:
            LOG.debug("owner of %s: %s %s", self._queue, claim.name, other)
            self._changed()


def _until(deadline: float) -> Iterator[float]:
    """Yield the seconds that are left, while any are."""
    while (left := deadline - time.monotonic()) > 0:
        yield left
