"""Finds out whether a guest answers, by fresh TCP connections.

A paused guest loses packets. A connection whose SYN was lost is no use: the kernel sends that SYN
again only after 1, 3, 7 s. So a new connection is begun every ``interval`` and the old ones are
given up after a second. What answers is closed with a reset, so that neither side keeps a
connection in TIME_WAIT.

A refused connection is an answer of the guest's kernel but not of its service: it counts as not
answering when we wait for the service, and as a sign of life when we wait for silence.
"""

from __future__ import annotations

import asyncio
import collections
import enum
import socket
import struct
import time
from typing import Any, Final

from oslo_config import cfg
from oslo_log import log

from nova_cachemig.agent.ports import ComponentError
from nova_cachemig.model.service import Target

LOG = log.getLogger(__name__)

_RESET: Final = struct.pack("ii", 1, 0)  # SO_LINGER on, 0 s: close() sends RST
_REMEMBERED: Final = 1024  # guests whose answering times are known
_TIMES: Final = 200  # answering times known of one guest
_LEAST_INTERVAL: Final = 0.001
_COMPLAIN_EVERY: Final = 10.0  # seconds


class _Answer(enum.Enum):
    YES = enum.auto()
    REFUSED = enum.auto()  # the guest's kernel is there, its service is not
    NONE = enum.auto()
    OURS = enum.auto()  # this host could not even ask


class TcpProber:
    """The :class:`~nova_cachemig.agent.ports.Prober` of the agent."""

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        """Reads ``[probe]`` of ``conf``."""
        self._conf = conf.probe
        self._complained = -_COMPLAIN_EVERY
        self._times: collections.OrderedDict[Target, collections.deque[float]] = (
            collections.OrderedDict()
        )

    async def answers(self, target: Target, *, timeout: float) -> bool:
        """One fresh connection; False when refused or not answered within ``timeout`` seconds.

        Raises ComponentError when the target's address is not an IP address.
        """
        family = _family(target)
        try:
            async with asyncio.timeout(timeout):
                return await self._ask(target, family) is _Answer.YES
        except TimeoutError:
            return False

    async def wait_answers(self, target: Target, *, interval: float = 0.02) -> None:
        """Return once a fresh connection is accepted; one is begun every ``interval`` seconds."""
        volley = _Volley(self, target, interval)
        try:
            while not any(answer is _Answer.YES for _, answer in await volley.tick()):
                pass
        finally:
            await volley.close()

    async def wait_silent(self, target: Target, *, interval: float = 0.02) -> None:
        """Return once ``[probe] silent_after`` probes in a row are overdue and none has answered.

        How long a probe may take follows the guest's own answering times, late ones included, and
        any answer, however late, starts the row anew: a brownout is not silence.
        """
        volley = _Volley(self, target, interval)
        try:
            while True:
                answered = await volley.tick()
                if any(answer in {_Answer.YES, _Answer.REFUSED} for _, answer in answered):
                    volley.excuse()
                if volley.overdue(self._overdue_after(target)) >= self._conf.silent_after:
                    return
        finally:
            await volley.close()

    def _overdue_after(self, target: Target) -> float:
        times = self._times.get(target)
        if not times:
            # Nothing is known of this guest: be as careful as its first second asks for.
            return max(self._conf.least_timeout, 0.25)
        ordered = sorted(times)
        p99 = ordered[min(len(ordered) - 1, int(0.99 * len(ordered)))]
        return max(self._conf.least_timeout, min(self._conf.timeout_factor * p99, self.lifetime))

    @property
    def lifetime(self) -> float:
        """Seconds for which an answer is waited for."""
        return float(self._conf.lifetime)

    @property
    def max_open(self) -> int:
        """Probes of one call that may be open at a time."""
        return int(self._conf.max_open)

    async def _ask(self, target: Target, family: socket.AddressFamily) -> _Answer:
        began = time.monotonic()
        try:
            sock = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        except OSError as exc:  # out of descriptors: says nothing about the guest
            if began - self._complained > _COMPLAIN_EVERY:
                self._complained = began
                LOG.warning("cannot probe %s: %s", target.address, exc)
            return _Answer.OURS
        with sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            try:
                await asyncio.get_running_loop().sock_connect(sock, _address(target))
            except ConnectionRefusedError:
                self._took(target, time.monotonic() - began)
                return _Answer.REFUSED
            except OSError as exc:  # no route, no neighbour, timed out
                LOG.debug("probe of %s: %s", target.address, exc)
                return _Answer.NONE
        self._took(target, time.monotonic() - began)
        return _Answer.YES

    def _took(self, target: Target, seconds: float) -> None:
        times = self._times.get(target)
        if times is None:
            times = self._times[target] = collections.deque(maxlen=_TIMES)
            if len(self._times) > _REMEMBERED:
                self._times.popitem(last=False)
        times.append(seconds)
        self._times.move_to_end(target)


class _Volley:
    """Probes of one target, one begun at each tick; several are open at a time."""

    def __init__(self, prober: TcpProber, target: Target, interval: float) -> None:
        self._prober, self._target, self._family = prober, target, _family(target)
        self._interval = max(_LEAST_INTERVAL, interval)
        self._open: dict[asyncio.Task[_Answer], float] = {}  # -> when begun, the oldest first
        self._row: collections.deque[float] = collections.deque()  # begun and not answered
        self._next = asyncio.get_running_loop().time()

    async def tick(self) -> list[tuple[float, _Answer]]:
        """Begin a probe when due; wait for an answer or the next one: (when begun, answer)."""
        now = asyncio.get_running_loop().time()
        if now >= self._next:
            self._begin(now)
        timeout = max(0.0, self._next - now)
        if self._open:
            await asyncio.wait(self._open, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        else:
            await asyncio.sleep(timeout)
        answered = []
        for task in [task for task in self._open if task.done()]:
            begun = self._open.pop(task)
            answer = task.result()
            if answer is _Answer.OURS and begun in self._row:
                self._row.remove(begun)
            answered.append((begun, answer))
        return answered

    def _begin(self, now: float) -> None:
        self._drop(now)
        task = asyncio.create_task(self._prober._ask(self._target, self._family))
        self._open[task] = now
        self._row.append(now)
        # After a stall of the loop go on from now: a burst of probes would tell nothing more.
        self._next = max(self._next + self._interval, now)

    def _drop(self, now: float) -> None:
        """Give up the probes that are too old, or too many."""
        for task, begun in list(self._open.items()):
            if now - begun < self._prober.lifetime and len(self._open) < self._prober.max_open:
                break
            task.cancel()
            del self._open[task]

    def excuse(self) -> None:
        """The guest lives: all that was begun until now says nothing."""
        self._row.clear()

    def overdue(self, after: float) -> int:
        """Probes in a row that have been without an answer for more than ``after`` seconds."""
        now = asyncio.get_running_loop().time()
        return sum(now - begun > after for begun in self._row)

    async def close(self) -> None:
        """Close every socket."""
        tasks = list(self._open)
        for task in tasks:
            task.cancel()
        self._open.clear()
        await asyncio.gather(*tasks, return_exceptions=True)


def _family(target: Target) -> socket.AddressFamily:
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.inet_pton(family, target.address.split("%")[0])
        except OSError:
            continue
        return family
    raise ComponentError(f"cannot probe {target.address!r}: not an IP address")


def _address(target: Target) -> Any:
    return (target.address, target.port)
