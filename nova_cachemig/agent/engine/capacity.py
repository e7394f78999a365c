"""HAProxy's limits of connections, derived from the limit of open files."""

from __future__ import annotations

import dataclasses
import resource
from collections.abc import Collection, Iterable

from nova_cachemig.agent.ports import ComponentError

FILES_PER_CLIENT = 6
"""Client; edge to ``held``, both ends; ``held`` to Varnish; Varnish to ``inner``; the guest."""

SPARE_FILES = 300
MAX_CLIENTS = 10000
MAX_REFUSED = 200
RESERVE = 4
"""One of so many clients more has a place, if its front address has less than its share."""

LEAST_SHARE = 10
"""Clients of a front address that can have a reserved place, however many addresses there are."""

LEAST_CLIENTS = 500
"""Clients for which front addresses leave files if ``max_clients`` is not set."""


@dataclasses.dataclass(frozen=True, slots=True)
class Capacity:
    """Limits of concurrent connections."""

    clients: int  # at the edge
    reserved: int  # above that, for front addresses with fewer clients than their share
    share: int  # of each front address
    refused: int  # above that, at the edge: each gets 503, and more are closed
    connections: int  # at the edge and between the inner hops


def open_file_limit() -> int:
    """Return the hard limit of open files; a child process may raise its soft limit to it."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return 1 << 20 if hard == resource.RLIM_INFINITY else hard


def _refused(clients: int) -> int:
    return min(max(clients // 50, 10), MAX_REFUSED)


def _files(clients: int, binds: int) -> int:
    """Return HAProxy's open files. It counts two for each connection, and one for each bind."""
    return clients * FILES_PER_CLIENT + 2 * _refused(clients) + SPARE_FILES + binds


def _possible(open_files: int, binds: int) -> int:
    left = open_files - SPARE_FILES - binds
    return (left - 2 * _refused(max(left, 0) // FILES_PER_CLIENT)) // FILES_PER_CLIENT


def for_clients(max_clients: int, open_files: int, binds: int = 0) -> Capacity:
    """Check ``max_clients`` against ``open_files``; 0 chooses it. Raises ComponentError.

    ``binds``: the number of front addresses.
    """
    possible = _possible(open_files, binds)
    if possible < 10:
        raise ComponentError(
            f"the limit of open files, {open_files}, is too low for HAProxy (ulimit -n)"
        )
    if max_clients > possible:
        raise ComponentError(
            f"[engine] max_clients = {max_clients} needs {_files(max_clients, binds)} open files "
            f"and the limit is {open_files} (ulimit -n): raise it or set max_clients to at most "
            f"{possible}"
        )
    clients, reserved = _divide(max_clients, possible, binds)
    refused = _refused(clients)
    # A client can have one connection at the edge, one at "held" or "late", and one at "inner" or
    # "journal".
    connections = 3 * (clients + reserved) + refused + 100
    share = max(clients // max(binds, 1), LEAST_SHARE)
    return Capacity(clients, reserved, share, refused, connections)


def _divide(max_clients: int, possible: int, binds: int) -> tuple[int, int]:
    """Return the clients, and the places that are reserved for small front addresses."""
    reserve = RESERVE if binds > 1 else 0
    if not reserve:
        return max_clients or min(possible, MAX_CLIENTS), 0
    clients = max_clients or min(possible * reserve // (reserve + 1), MAX_CLIENTS)
    return clients, min(clients // reserve, possible - clients)


def surplus(
    wanted: Iterable[str], present: Collection[str], max_clients: int, open_files: int
) -> dict[str, str]:
    """Return the front addresses for which there are no files, each with the reason.

    Those on which the edge listens (``present``) come first, then the order of ``wanted``.
    """
    clients = max_clients or max(10, min(LEAST_CLIENTS, _possible(open_files, 0) // 2))
    most = max(open_files - _files(clients, 0), 0)
    ordered = sorted(dict.fromkeys(wanted), key=lambda bind: bind not in present)
    if len(ordered) <= most:
        return {}
    why = (
        f"{len(ordered)} front addresses and {clients} clients need "
        f"{_files(clients, len(ordered))} open files and the limit is {open_files} (LimitNOFILE, "
        f"ulimit -n), so only {most} addresses are served: raise the limit, or let services share "
        "an address and give each its own hosts"
    )
    return {bind: f"no listener on {bind}: {why}" for bind in ordered[most:]}
