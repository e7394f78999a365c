"""Asks the agent in the background whether it listens, and logs when that changes.

Otherwise nothing would show before the first migration that the agent is missing. After a failed
request the pings also find out when the agent is back, so that migrations wait for it again.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Mapping
from typing import Any, Final

from oslo_log import log

from nova_cachemig.rpc import remedies
from nova_cachemig.rpc.client import BusError, RefusedError, UnreachableError

LOG = log.getLogger(__name__)

INTERVAL: Final = 300.0
"""Seconds between two pings while the agent responds, plus or minus a fifth."""
RETRY: Final = (1.0, 2.0, 5.0, 10.0, 30.0)
"""Seconds after each ping in a row without a response; the last one repeats."""
TOLERATED: Final = 2
"""Pings in a row without a response, before a warning: a restart of the agent is none."""

_ABSENT: Final = (
    "start nova-cachemig-agent on the cache node, with the same RabbitMQ, virtual host and topic "
    "as in [cachemig] of this nova.conf"
)


class AgentPing:
    """One daemon thread, which waits for the responses. No other thread waits for it.

    ``ping`` returns the response, or raises UnreachableError or RefusedError within a bounded time.
    ``on_response`` is called after each response.
    """

    def __init__(
        self, ping: Callable[[], Mapping[str, Any]], on_response: Callable[[], object]
    ) -> None:
        self._ping = ping
        self._on_response = on_response
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None
        self._failures = 0
        self._listening: bool | None = None  # None: not known yet
        self.response: Mapping[str, Any] | None = None  # the last one

    def start(self) -> None:
        """Begin, unless the thread runs. Does not wait."""
        with self._lock:
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="cachemig-ping", daemon=True)
                self._thread.start()

    def check_soon(self) -> None:
        """Ping now, and often for a while: a request to the agent has failed. Does not wait."""
        self._failures = 0
        self._wake.set()
        self.start()

    def stop(self, timeout: float = 5.0) -> None:
        """End the thread. Nova never calls this: the thread ends with nova-compute."""
        self._stopped.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join(timeout)

    def _run(self) -> None:
        while not self._stopped.is_set():
            self._wake.clear()
            self._wake.wait(self.step())

    def step(self) -> float:
        """Ping once; return the seconds until the next ping."""
        try:
            response = self._ping()
        except (UnreachableError, RefusedError) as exc:
            self._failed(exc, _remedy(exc))
        except Exception as exc:  # the thread goes on, whatever the error
            self._failed(exc, remedies.remedy(exc))
        else:
            self._failures = 0
            self.response = response
            self._on_response()
            if self._listening is not True:
                self._listening = True
                LOG.info("cachemig: agent %s is listening", response.get("host", "of any name"))
            return INTERVAL * random.uniform(0.8, 1.2)  # spreads the computes' pings
        return RETRY[min(self._failures, len(RETRY)) - 1]

    def _failed(self, error: Exception, remedy: str) -> None:
        self._failures += 1
        if self._failures >= TOLERATED and self._listening is not False:
            self._listening = False
            LOG.warning(
                "cachemig: no agent is listening (%s): nothing shields the guests that migrate. "
                "Remedy: %s. To find the cause, run on this host: nova-cachemig-manage doctor "
                "--nova-conf /etc/nova/nova.conf",
                error,
                remedy,
            )


def _remedy(error: Exception) -> str:
    if isinstance(error, BusError):
        return remedies.remedy(error)
    if isinstance(error, RefusedError):
        return "look at the log of nova-cachemig-agent"
    return _ABSENT
