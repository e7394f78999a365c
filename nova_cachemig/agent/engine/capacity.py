"""HAProxy's limits of connections, derived from the limit of open files."""

from __future__ import annotations

import dataclasses
import resource

from nova_cachemig.agent.ports import ComponentError

FILES_PER_CLIENT = 6
"""Client; edge to ``held``, both ends; ``held`` to Varnish; Varnish to ``inner``; the guest."""

SPARE_FILES = 300
MAX_CLIENTS = 10000
MAX_REFUSED = 200  # of the spare files


@dataclasses.dataclass(frozen=True, slots=True)
class Capacity:
    """Limits of concurrent connections."""

    clients: int  # at the edge
    refused: int  # above that, at the edge: each gets 503, and more are closed
    connections: int  # at the edge and between the inner hops


def open_file_limit() -> int:
    """Return the hard limit of open files; a child process may raise its soft limit to it."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return 1 << 20 if hard == resource.RLIM_INFINITY else hard


def for_clients(max_clients: int, open_files: int) -> Capacity:
    """Check ``max_clients`` against ``open_files``; 0 chooses it. Raises ComponentError."""
    possible = (open_files - SPARE_FILES) // FILES_PER_CLIENT
    if possible < 10:
        raise ComponentError(
            f"the limit of open files, {open_files}, is too low for HAProxy (ulimit -n)"
        )
    if max_clients > possible:
        need = max_clients * FILES_PER_CLIENT + SPARE_FILES
        raise ComponentError(
            f"[engine] max_clients = {max_clients} needs {need} open files and the limit is "
            f"{open_files} (ulimit -n): raise it or set max_clients to at most {possible}"
        )
    clients = max_clients or min(possible, MAX_CLIENTS)
    # A client can have one connection at the edge, one at "held" or "late", and one at "inner".
    refused = min(max(clients // 50, 10), MAX_REFUSED)
    return Capacity(clients, refused, connections=3 * clients + refused + 100)
