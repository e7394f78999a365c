"""Finds out whether a guest is reachable, with new TCP connections.

A paused guest loses packets. After a lost SYN, the kernel repeats it only after 1, 3 and 7 seconds.
So the prober starts a new connection every ``interval`` and gives up old ones after a second. It
closes established connections with a reset, so that neither side keeps one in TIME_WAIT.

Each probe costs the node and the guest a connection, so all guests share a budget: the more of them
are probed, the longer is the interval of each. A guest that has not responded in time, and one that
is expected back, gets its whole rate from another budget.

A refused connection comes from the guest's kernel, not from its service. The guest is then not
silent, but its service is not reachable.
"""

from __future__ import annotations

import asyncio
import collections
import enum
import errno
import math
import socket
import struct
import time
from typing import Any, Final

from oslo_config import cfg
from oslo_log import log

from nova_cachemig.agent.ports import ComponentError
from nova_cachemig.model.reach import Attempt, Reach
from nova_cachemig.model.service import Target

LOG = log.getLogger(__name__)

_RESET: Final = struct.pack("ii", 1, 0)  # SO_LINGER on, 0 s: close() sends RST
_REMEMBERED: Final = 1024  # guests whose response times are known
_TIMES: Final = 200  # response times of one guest
_LEAST_INTERVAL: Final = 0.001
_COMPLAIN_EVERY: Final = 10.0  # seconds
_SORT_EVERY: Final = 20  # response times of one guest

_CALM_RATE: Final = 200.0
"""Probes per second of all guests that respond."""

_HASTY_RATE: Final = 1000.0
"""Probes per second of all guests that are silent, and again of those that are expected back."""

_EXPECTED_FOR: Final = 5.0
"""Seconds for which a guest is expected back."""


_REACH_OF: Final = {
    errno.ECONNREFUSED: Reach.REFUSED,
    errno.ENETUNREACH: Reach.NO_ROUTE,
    errno.EHOSTUNREACH: Reach.NO_NEIGHBOUR,
}


class _Outcome(enum.Enum):
    REACHABLE = enum.auto()
    REFUSED = enum.auto()  # by the guest's kernel: its service does not listen
    NO_RESPONSE = enum.auto()
    NOT_SENT = enum.auto()  # this node could not send a probe


class _Pace(enum.Enum):
    """The budget from which a series takes its probes."""

    CALM = enum.auto()  # the guest responds
    SILENT = enum.auto()  # it does not, or not in time
    EXPECTED = enum.auto()  # it is expected back


class TcpProber:
    """The Prober and the ConnectionTester of :mod:`nova_cachemig.agent.ports`."""

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        """Reads ``[probe]`` of ``conf``."""
        self._conf = conf.probe
        self._complained = -_COMPLAIN_EVERY
        self._times: collections.OrderedDict[Target, collections.deque[float]] = (
            collections.OrderedDict()
        )
        self._overdue: dict[Target, tuple[int, float]] = {}  # → at which number, the time
        self._taken: collections.Counter[Target] = collections.Counter()
        self._series: dict[_Pace, set[_ProbeSeries]] = {pace: set() for pace in _Pace}
        self._expected: dict[Target, float] = {}  # → until when, in loop time

    def expect(self, target: Target) -> None:
        """The guest will be reachable soon, or is silent no more: probe it without delay."""
        now = asyncio.get_running_loop().time()
        self._expected = {t: until for t, until in self._expected.items() if until > now}
        self._expected[target] = now + _EXPECTED_FOR
        for series in [s for s in self._series[_Pace.SILENT] if s.target == target]:
            self.set_pace(series, _Pace.EXPECTED)
            series.wake()

    def is_expected(self, target: Target) -> bool:
        """Whether :meth:`expect` was called shortly before."""
        return self._expected.get(target, 0.0) > asyncio.get_running_loop().time()

    def set_pace(self, series: _ProbeSeries, pace: _Pace | None) -> None:
        """Let the series take part in this budget from now on. None: in none."""
        for members in self._series.values():
            members.discard(series)
        if pace is not None:
            self._series[pace].add(series)
        series.pace = pace

    def share(self, pace: _Pace | None) -> float:
        """Return the seconds between two probes of one guest that the budget allows."""
        if pace is None:
            return 0.0
        rate = _CALM_RATE if pace is _Pace.CALM else _HASTY_RATE
        return len(self._series[pace]) / rate

    async def wait_reachable(self, target: Target, *, interval: float) -> None:
        """Return once the guest accepts a connection; a new one starts every ``interval`` seconds.

        If many guests are silent, the interval is longer, except after :meth:`expect`. Raises
        ComponentError when the target's address is not an IP address.
        """
        series = _ProbeSeries(self, target, interval)
        expected = self.is_expected(target)
        self.set_pace(series, _Pace.EXPECTED if expected else _Pace.SILENT)
        try:
            while not any(outcome is _Outcome.REACHABLE for _, outcome in await series.tick()):
                if series.pace is _Pace.EXPECTED and not self.is_expected(target):
                    self.set_pace(series, _Pace.SILENT)
        finally:
            await series.close()

    async def wait_silent(self, target: Target, *, interval: float) -> None:
        """Return once ``[probe] silent_after`` consecutive probes are overdue.

        A probe is overdue relative to the guest's own response times, late ones included. Any
        response, however late, starts the count again: a slow guest is not silent. Raises
        ComponentError when the target's address is not an IP address.
        """
        series = _ProbeSeries(self, target, interval)
        self.set_pace(series, _Pace.CALM)
        try:
            while True:
                after = self._overdue_after(target)
                ended = await series.tick(after)
                if any(outcome in {_Outcome.REACHABLE, _Outcome.REFUSED} for _, outcome in ended):
                    series.restart_count()
                overdue = series.overdue(after)
                if overdue >= self._conf.silent_after:
                    return
                self.set_pace(series, _Pace.SILENT if overdue else _Pace.CALM)
                if overdue:
                    series.hasten()
        finally:
            await series.close()

    async def try_guest(self, target: Target, *, timeout: float) -> Attempt:
        """Connect once, for at most ``timeout`` seconds. Raises ComponentError as the others do."""
        return await try_guest(target, timeout=timeout)

    def _overdue_after(self, target: Target) -> float:
        times = self._times.get(target)
        if not times:
            # The first probes of a guest: no response time is known yet.
            return max(self._conf.least_timeout, 0.25)
        number, after = self._overdue.get(target, (-_SORT_EVERY, 0.0))
        taken = self._taken[target]
        if taken - number >= _SORT_EVERY or len(times) < _SORT_EVERY:
            ordered = sorted(times)
            p99 = ordered[min(len(ordered) - 1, int(0.99 * len(ordered)))]
            most = min(self._conf.timeout_factor * p99, self.lifetime)
            after = max(self._conf.least_timeout, most)
            self._overdue[target] = (taken, after)
        return after

    @property
    def lifetime(self) -> float:
        """Seconds after which a probe is given up."""
        return float(self._conf.lifetime)

    @property
    def max_open(self) -> int:
        """Limit of simultaneously open probes of one call."""
        return int(self._conf.max_open)

    async def _ask(self, target: Target, family: socket.AddressFamily) -> _Outcome:
        began = time.monotonic()
        try:
            sock = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        except OSError as exc:  # no file descriptor: this says nothing about the guest
            if began - self._complained > _COMPLAIN_EVERY:
                self._complained = began
                LOG.warning("cannot probe %s: %s", target.address, exc)
            return _Outcome.NOT_SENT
        with sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            try:
                await asyncio.get_running_loop().sock_connect(sock, _address(target))
            except ConnectionRefusedError:
                self._took(target, time.monotonic() - began)
                return _Outcome.REFUSED
            except OSError as exc:  # no route, no neighbour, timed out
                LOG.debug("probe of %s: %s", target.address, exc)
                return _Outcome.NO_RESPONSE
        self._took(target, time.monotonic() - began)
        return _Outcome.REACHABLE

    def _took(self, target: Target, seconds: float) -> None:
        times = self._times.get(target)
        if times is None:
            times = self._times[target] = collections.deque(maxlen=_TIMES)
            if len(self._times) > _REMEMBERED:
                forgotten, _ = self._times.popitem(last=False)
                self._overdue.pop(forgotten, None)
                del self._taken[forgotten]
        times.append(seconds)
        self._taken[target] += 1
        self._times.move_to_end(target)


async def try_guest(target: Target, *, timeout: float) -> Attempt:
    """Connect once, for at most ``timeout`` seconds. Raises ComponentError for another target."""
    family = _family(target)
    try:
        sock = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    except OSError as exc:  # no file descriptor
        return Attempt(Reach.OTHER, detail=str(exc))
    with sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        reach, detail = Reach.REACHABLE, ""
        try:
            async with asyncio.timeout(timeout):
                await asyncio.get_running_loop().sock_connect(sock, _address(target))
        except TimeoutError:  # also the kernel's own: ETIMEDOUT
            reach = Reach.SILENT
        except OSError as exc:
            reach = _REACH_OF.get(exc.errno or 0, Reach.OTHER)
            detail = str(exc) if reach is Reach.OTHER else ""
        return Attempt(reach, _source(sock), detail)


def _source(sock: socket.socket) -> str | None:
    """Return this node's address in the attempt; None if the kernel has chosen none."""
    address: str = sock.getsockname()[0]
    return None if address in {"0.0.0.0", "::"} else address


class _ProbeSeries:
    """Probes of one target: each tick starts one, and several are open at a time."""

    def __init__(self, prober: TcpProber, target: Target, interval: float) -> None:
        self._prober, self.target, self._family = prober, target, _family(target)
        self.pace: _Pace | None = None
        self._woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._interval = max(_LEAST_INTERVAL, interval)
        self._open: dict[asyncio.Task[_Outcome], float] = {}  # → its start, the oldest first
        self._silent: collections.deque[float] = collections.deque()  # starts without a response
        self._next = self._began = asyncio.get_running_loop().time()

    async def tick(self, patience: float = math.inf) -> list[tuple[float, _Outcome]]:
        """Start a probe when due; wait for a response or the next start: (start, outcome).

        Also return when the newest probe has no response after ``patience`` seconds.
        """
        now = asyncio.get_running_loop().time()
        if now >= self._next:
            self._begin(now)
        due = self._next
        if self._silent and self._silent[-1] + patience > now:
            due = min(due, self._silent[-1] + patience + _LEAST_INTERVAL)
        timeout = max(0.0, due - now)
        await self._wait(timeout)
        ended = []
        for task in [task for task in self._open if task.done()]:
            begun = self._open.pop(task)
            outcome = task.result()
            if outcome is _Outcome.NOT_SENT and begun in self._silent:
                self._silent.remove(begun)
            ended.append((begun, outcome))
        return ended

    async def _wait(self, timeout: float) -> None:
        """Wait for the end of a probe, or for :meth:`wake`."""
        if self._woken.done():
            self._woken = asyncio.get_running_loop().create_future()
        waits: set[asyncio.Future[Any]] = {self._woken, *self._open}
        await asyncio.wait(waits, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)

    def wake(self) -> None:
        """Start the next probe now."""
        self._next = asyncio.get_running_loop().time()
        if not self._woken.done():
            self._woken.set_result(None)

    def hasten(self) -> None:
        """Start the next probe ``interval`` after the last one, whatever the budget was."""
        self._next = min(self._next, self._began + self._interval)

    def _begin(self, now: float) -> None:
        self._drop(now)
        self._began = now
        task = asyncio.create_task(self._prober._ask(self.target, self._family))
        self._open[task] = now
        self._silent.append(now)
        # After a stall of the event loop, continue from now: a burst of probes has no use.
        self._next = max(self._next + max(self._interval, self._prober.share(self.pace)), now)

    def _drop(self, now: float) -> None:
        """Give up probes that are too old, and the oldest if there are too many."""
        for task, begun in list(self._open.items()):
            if now - begun < self._prober.lifetime and len(self._open) < self._prober.max_open:
                break
            task.cancel()
            del self._open[task]

    def restart_count(self) -> None:
        """The guest is not silent: restart the count."""
        self._silent.clear()

    def overdue(self, after: float) -> int:
        """Count consecutive probes without a response for more than ``after`` seconds."""
        now = asyncio.get_running_loop().time()
        return sum(now - begun > after for begun in self._silent)

    async def close(self) -> None:
        """Close every socket."""
        self._prober.set_pace(self, None)
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
