"""The contract of the schedulers: the forecaster sends each snapshot to all of them, by fanout.

Version history:

* 1.0 - snapshot
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import oslo_messaging
from oslo_config import cfg

from nova_cachemig.rpc import bus
from nova_cachemig.rpc.cast_queue import CastCounts
from nova_cachemig.rpc.client import RpcClient
from nova_cachemig.rpc.faults import Faults
from nova_cachemig.rpc.server import RpcServer

VERSION: Final = "1.0"


class SchedulersClient:
    """All schedulers, for the forecaster. Sending never waits; only the newest snapshot is kept."""

    def __init__(
        self, conf: cfg.ConfigOpts, topic: str, url: str | None, faults: Faults, max_age: float
    ) -> None:
        """``max_age``: seconds after which a snapshot that could not be sent is dropped."""
        self._rpc = RpcClient(
            conf,
            bus.target(topic, VERSION),
            peer="scheduler",
            url=url,
            timeout=0.0,  # no calls
            faults=faults,
            queue_limit=1,
            max_age=max_age,
        )

    def send(self, snapshot: dict[str, Any]) -> None:
        """Send to every scheduler; replaces a snapshot that still waits."""
        self._rpc.cast("snapshot", {"snapshot": snapshot}, fanout=True)

    def counts(self) -> CastCounts:
        """How many snapshots were sent, and how many were dropped."""
        return self._rpc.counts()

    def stop(self) -> None:
        """Send what can be sent within a second, then close the connection."""
        self._rpc.close()


class Dispatch:
    """Passes each snapshot on as it came; who holds it validates it."""

    target = oslo_messaging.Target(version=VERSION)

    def __init__(self, put: Callable[[Any], None]) -> None:
        self._put = put

    def snapshot(self, ctxt: bus.Context, snapshot: Any) -> None:
        """Take one snapshot."""
        self._put(snapshot)


def server(
    conf: cfg.ConfigOpts,
    topic: str,
    host: str,
    url: str | None,
    put: Callable[[Any], None],
) -> RpcServer:
    """The server of one scheduler process: ``put`` gets each snapshot, on a thread of the server.

    ``host`` must be unique among all processes of all schedulers. The server uses the kind of
    threads that the process has: native ones, or eventlet's.
    """
    return RpcServer(
        conf, bus.target(topic, VERSION, host), [Dispatch(put)], url=url, executor=None
    )
