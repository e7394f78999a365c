"""The contract of the early announcement: the source tells all compute hosts of a pause, by fanout.

libvirt on the source does not name the destination, and libvirt on the destination does not report
the pause. Each host knows which guests arrive on it. So the destination is the one that acts.

Version history:

* 1.0 - paused, ping
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import oslo_messaging
from oslo_config import cfg

from nova_cachemig.rpc import bus
from nova_cachemig.rpc.cast_queue import QueuedCast
from nova_cachemig.rpc.client import RpcClient
from nova_cachemig.rpc.faults import Faults
from nova_cachemig.rpc.server import RpcServer

VERSION: Final = "1.0"
MAX_AGE: Final = 2.0
"""Seconds after which the news of a pause that could not be sent is dropped."""
_QUEUED: Final = 200
_NEVER: Final = 1e11  # UNIX seconds
_LONGEST: Final = 64  # characters of an instance's UUID, with room to spare


class AnnounceClient:
    """All compute hosts, of which this one is ``host``. Sending never waits."""

    def __init__(
        self, conf: cfg.ConfigOpts, topic: str, host: str, url: str | None, faults: Faults
    ) -> None:
        self._rpc = RpcClient(
            conf,
            bus.target(topic, VERSION, host),  # unless it is a fanout
            peer="compute host",
            url=url,
            timeout=0.0,  # the contract has no calls
            faults=faults,
            queue_limit=_QUEUED,
            max_age=MAX_AGE,
        )

    def paused(self, instance: str, at: float) -> QueuedCast:
        """A guest was paused for its switchover. ``at``: UNIX seconds, of the source. Since 1.0."""
        return self._rpc.cast("paused", {"instance": instance, "at": at}, fanout=True)

    def warm_up(self) -> QueuedCast:
        """Open the connection, by a cast to this host's own server."""
        return self._rpc.cast("ping", {})

    def close(self) -> None:
        """Send what can be sent within a second, then close the connection."""
        self._rpc.close()


class Dispatch:
    """Validates each request; ``malformed`` gets the reason for each that is invalid."""

    target = oslo_messaging.Target(version=VERSION)

    def __init__(
        self, paused: Callable[[str, float], None], malformed: Callable[[str], None]
    ) -> None:
        self._paused = paused
        self._malformed = malformed

    def paused(self, ctxt: bus.Context, instance: Any, at: Any) -> None:
        """Receive the news of a pause."""
        valid = isinstance(instance, str) and 0 < len(instance) <= _LONGEST
        if not valid or type(at) not in {int, float} or not 0 <= at < _NEVER:
            self._malformed(f"not the news of a pause: {instance!r:.100}, {at!r:.100}")
            return
        self._paused(instance, float(at))

    def ping(self, ctxt: bus.Context) -> None:
        """Do nothing: the sender opens its connection."""


def server(
    conf: cfg.ConfigOpts,
    topic: str,
    host: str,
    url: str | None,
    paused: Callable[[str, float], None],
    malformed: Callable[[str], None],
    faults: Faults,
) -> RpcServer:
    """The server of the compute host named ``host``."""
    return RpcServer(
        conf,
        bus.target(topic, VERSION, host),
        [Dispatch(paused, malformed)],
        url=url,
        faults=faults,
    )
