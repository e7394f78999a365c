"""The contract of telemetry: each compute reports its load to every forecaster, by fanout.

If no forecaster listens, a fanout is dropped without an error. A cloud without a forecaster pays
one small message per minute and host.

Version history:

* 1.0 - reading
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import oslo_messaging
from oslo_config import cfg

from nova_cachemig.model.reading import Reading
from nova_cachemig.rpc import bus
from nova_cachemig.rpc.client import RpcClient
from nova_cachemig.rpc.faults import Faults
from nova_cachemig.rpc.server import RpcServer

VERSION: Final = "1.0"
MAX_AGE: Final = 120.0
"""Seconds after which a reading that could not be sent is dropped: newer ones exist."""
_QUEUED: Final = 4  # readings, one for each node of an Ironic service or so


class SamplesClient:
    """All forecasters, for a compute host. Sending never waits."""

    def __init__(self, conf: cfg.ConfigOpts, topic: str, url: str | None, faults: Faults) -> None:
        self._rpc = RpcClient(
            conf,
            bus.target(topic, VERSION),
            peer="forecaster",
            url=url,
            timeout=0.0,  # the contract has no calls
            faults=faults,
            queue_limit=_QUEUED,
            max_age=MAX_AGE,
        )

    def report(self, reading: Reading) -> None:
        """Send one reading."""
        self._rpc.cast("reading", {"reading": reading.to_wire()}, fanout=True)

    def close(self) -> None:
        """Send what can be sent within a second, then close the connection."""
        self._rpc.close()


class Dispatch:
    """Validates each reading; ``malformed`` gets the reason for each that is invalid."""

    target = oslo_messaging.Target(version=VERSION)

    def __init__(
        self, receive: Callable[[Reading], None], malformed: Callable[[str], None]
    ) -> None:
        self._receive = receive
        self._malformed = malformed

    def reading(self, ctxt: bus.Context, reading: Any) -> None:
        """Receive one reading."""
        try:
            received = Reading.from_wire(reading)
        except ValueError as exc:
            self._malformed(str(exc))
        else:
            self._receive(received)


def server(
    conf: cfg.ConfigOpts,
    topic: str,
    host: str,
    url: str | None,
    receive: Callable[[Reading], None],
    malformed: Callable[[str], None],
) -> RpcServer:
    """The server of the forecaster named ``host`` on one message bus."""
    dispatch = Dispatch(receive, malformed)
    return RpcServer(conf, bus.target(topic, VERSION, host), [dispatch], url=url, self_check=True)
