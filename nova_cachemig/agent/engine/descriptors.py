"""HAProxy's connections to guests by their local ports, from the output of ``show fd``.

Two connections to different guests can have the same local port. Then the kernel's number of the
socket (SO_COOKIE) says which is which. That needs a duplicate of HAProxy's descriptor
(pidfd_getfd(2)), and with it the rights of ptrace(2).
"""

from __future__ import annotations

import collections
import contextlib
import ctypes
import dataclasses
import os
import re
import socket
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from nova_cachemig.agent.engine.sockdiag import Connection

_LINE: Final = re.compile(
    r"^ *(\d+) : (.*? back=1 .*?lport=(\d+) .*? sv=(\w+)/(?:guest|proxy[12]) .*)$", re.M
)
_READS: Final = frozenset({"fetch", "fetch_first", "fetch_again"})
_OTHERS: Final = frozenset({"idle", "guest", "guest_write", "guest_stream"})
_BUSY: Final = re.compile(r" h1s=| \.nbst=[1-9]")
_NO_RESPONSE: Final = re.compile(r"\.res\.state=MSG_RPBEFORE\b")  # the mux has parsed nothing of it
_HAS_MUX: Final = re.compile(r"/(?:guest|proxy[12]) mux=")

_PIDFD_GETFD: Final = 438  # asm-generic/unistd.h; not in Python's os module
_SO_COOKIE: Final = 57
_libc = ctypes.CDLL(None, use_errno=True)

Ports = Mapping[int, Sequence[int]]  # local port → file descriptors of HAProxy


@dataclasses.dataclass(frozen=True, slots=True)
class Descriptors:
    """``reads``: in a handover. ``others``: the rest, without those of logins.

    ``waiting``: of the reads, those without a response so far. ``idle``: of both, those that carry
    no request. ``uses``: the number of connections from each local port.
    """

    worker: int
    reads: Ports
    waiting: Ports
    others: Ports
    idle: Ports
    uses: Mapping[int, int]

    @classmethod
    def parse(cls, worker: int, output: str) -> Descriptors:
        """Read the output of ``show fd``."""
        kinds: list[dict[int, list[int]]] = [{}, {}, {}, {}]
        reads, waiting, others, idle = kinds
        uses: collections.Counter[int] = collections.Counter()
        for fd, line, lport, backend in _LINE.findall(output):
            port = int(lport)
            uses[port] += 1
            if backend not in _READS | _OTHERS:
                continue
            found = [reads if backend in _READS else others]
            if backend in _READS and _NO_RESPONSE.search(line):
                found.append(waiting)
            if _HAS_MUX.search(line) and not _BUSY.search(line):
                found.append(idle)
            for kind in found:
                kind.setdefault(port, []).append(int(fd))
        return cls(worker, reads, waiting, others, idle, uses)

    def select(self, found: Iterable[Connection], wanted: Ports) -> list[Connection]:
        """Return the connections that are among ``wanted``. One that is in doubt is not."""
        return [one for one in found if one.source_port in wanted and self._is_one(one, wanted)]

    def _is_one(self, connection: Connection, wanted: Ports) -> bool:
        fds = wanted[connection.source_port]
        if self.uses[connection.source_port] == len(fds):
            return True
        with contextlib.suppress(OSError):  # without the rights it stays in doubt
            for sock in duplicates(self.worker, fds):
                if cookie(sock) == connection.cookie:
                    return True
        return False


def duplicates(pid: int, fds: Iterable[int]) -> Iterator[socket.socket]:
    """Yield sockets of another process, and skip other files. Raises OSError.

    Each is closed when the next one is asked for.
    """
    pidfd = os.pidfd_open(pid)
    try:
        for fd in fds:
            mine = duplicate(pidfd, fd)
            try:
                sock = socket.socket(fileno=mine)
            except OSError:  # it has closed the connection and uses the number for a file
                os.close(mine)
                continue
            with sock:
                yield sock
    finally:
        os.close(pidfd)


def duplicate(pidfd: int, fd: int) -> int:
    """Return a descriptor of this process for another one's. Raises OSError."""
    mine: int = _libc.syscall(_PIDFD_GETFD, pidfd, fd, 0)
    if mine < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"pidfd_getfd: {os.strerror(code)}")
    return mine


def cookie(sock: socket.socket) -> int:
    """Return the kernel's number of the socket."""
    value = sock.getsockopt(socket.SOL_SOCKET, _SO_COOKIE, 8)
    return int.from_bytes(value, sys.byteorder)
