"""What HAProxy may open, from the limit of open files."""

from __future__ import annotations

import dataclasses
import resource

from nova_cachemig.agent.ports import ComponentError

FILES_PER_CLIENT = 6
"""Client, edge to held and back, held to Varnish, Varnish to inner and on to the guest."""

SPARE_FILES = 300
MOST_CLIENTS = 10000


@dataclasses.dataclass(frozen=True, slots=True)
class Capacity:
    """Connections at once."""

    clients: int  # at the edge
    accepted: int  # at the edge and between the inner hops


def hard_limit() -> int:
    """Files that a child of this process may open; a child may raise its soft limit to this."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return 1 << 20 if hard == resource.RLIM_INFINITY else hard


def connections(max_clients: int, files: int) -> Capacity:
    """Check ``max_clients`` against ``files``, or choose it (0). Raises ComponentError."""
    possible = (files - SPARE_FILES) // FILES_PER_CLIENT
    if possible < 10:
        raise ComponentError(
            f"the limit of open files, {files}, is too low for HAProxy (ulimit -n)"
        )
    if max_clients > possible:
        need = max_clients * FILES_PER_CLIENT + SPARE_FILES
        raise ComponentError(
            f"[engine] max_clients = {max_clients} needs {need} open files and the limit is "
            f"{files} (ulimit -n): raise it or set max_clients to at most {possible}"
        )
    clients = max_clients or min(possible, MOST_CLIENTS)
    # Each client can have a connection at the edge, at "held" or "late", and at "inner".
    return Capacity(clients=clients, accepted=3 * clients + 50)
