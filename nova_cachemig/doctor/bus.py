"""The message bus of the cache node: connection, rights, flags, and who listens."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import amqp
from oslo_config import cfg

from nova_cachemig.doctor import broker
from nova_cachemig.doctor.context import Context
from nova_cachemig.doctor.runner import Check
from nova_cachemig.doctor.verdict import Verdict, failed, skipped
from nova_cachemig.doctor.verdicts import bus as verdicts
from nova_cachemig.rpc import connection as link
from nova_cachemig.rpc.agent_client import AgentClient
from nova_cachemig.rpc.client import RefusedError, UnreachableError

_PING: Final = 3.0
"""Seconds to wait for the agent's response."""


def checks(context: Context) -> Sequence[Check]:
    """Checks of [DEFAULT] transport_url in the agent's configuration."""
    conf = context.conf
    assert conf is not None, "a subject of the cache node"
    of_agent, of_forecaster = conf.agent.topic, conf.forecaster.topic
    bus = Bus(conf, None, option="[DEFAULT] transport_url", calls=False)
    # A machine without the agent's state may run the forecaster or the doctor only.
    host = conf.agent.host if Path(conf.agent.state_dir).exists() else None
    return [
        *bus.checks("bus", (of_agent, of_forecaster, conf.telemetry.topic)),
        Check("bus.agent", lambda: [bus.agent(of_agent, host)], ("bus.connection",)),
        Check("bus.forecaster", lambda: [bus.forecaster(of_forecaster)], ("bus.connection",)),
    ]


class Bus:
    """One transport URL. :meth:`connect` chooses the node that the other checks use."""

    def __init__(self, conf: cfg.ConfigOpts, url: str | None, *, option: str, calls: bool) -> None:
        """``option`` holds the URL. ``calls``: see :func:`.verdicts.bus.rights`."""
        self._conf = conf
        self._url = url
        self._option = option
        self._calls = calls
        self._used: tuple[link.Settings, link.Server] | None = None

    def checks(self, prefix: str, topics: Sequence[str]) -> list[Check]:
        """Return those that each side of the bus needs."""
        connection = f"{prefix}.connection"
        return [
            Check(connection, lambda: [self.connect()]),
            Check(f"{prefix}.rights", lambda: [self.rights()], (connection,)),
            Check(f"{prefix}.flags", lambda: [self.flags(topics)], (connection,)),
        ]

    def connect(self) -> Verdict:
        """Try each node of the URL."""
        try:
            settings = link.settings(self._conf, self._url)
        except ValueError as exc:
            return failed(f"{self._option} is not valid: {exc}", f"Set {self._option}")
        if settings is None:
            return skipped(f"{self._option} names no RabbitMQ")
        attempts = [broker.attempt(settings, server) for server in settings.servers]
        for server, attempt in zip(settings.servers, attempts, strict=True):
            if attempt.fault is None:
                self._used = settings, server
                break
        return verdicts.connection(
            attempts, user=settings.user, vhost=settings.vhost, option=self._option
        )

    def rights(self) -> Verdict:
        """Try what the programs do."""
        settings, _ = self._node()
        try:
            with self._connected() as connection:
                refused = broker.refused_rights(connection)
        except broker.BlockedError:
            return verdicts.blocked()
        return verdicts.rights(refused, user=settings.user, vhost=settings.vhost, calls=self._calls)

    def flags(self, topics: Sequence[str]) -> Verdict:
        """Compare the exchange and the queues of these topics with the flags of this version."""
        try:
            with self._connected() as connection:
                return verdicts.flags(broker.conflicts(connection, topics))
        except amqp.AccessRefused:
            return skipped("the user lacks the right to declare the exchange and the queues")

    def agent(self, topic: str, host: str | None = None) -> Verdict:
        """Find out who listens on the agent's topic; ``host``: the agent of this node."""
        with self._connected() as connection:
            consumers = broker.consumers(connection, topic)
        return verdicts.agent(topic, consumers, self._ping(topic) if consumers == 1 else None, host)

    def forecaster(self, topic: str) -> Verdict:
        """Find out who listens on the forecaster's topic."""
        with self._connected() as connection:
            return verdicts.forecaster(topic, broker.consumers(connection, topic))

    def _ping(self, topic: str) -> dict[str, Any] | None:
        client = AgentClient(self._conf, topic, transport_url=self._url, rpc_timeout=_PING)
        try:
            return client.ping({})
        except (UnreachableError, RefusedError):
            return None
        finally:
            client.close(0.2)

    def _node(self) -> tuple[link.Settings, link.Server]:
        assert self._used is not None, "the check of the connection has passed"
        return self._used

    @contextlib.contextmanager
    def _connected(self) -> Iterator[amqp.Connection]:
        with broker.connected(*self._node()) as connection:
            yield connection
