"""The headers by which the warmer fetches pages through ``Engine.cache_socket``.

The socket speaks HTTP/1. The edge adds the headers that it adds to a client's request (generation,
epoch, state), so that clients find the pages that are fetched here. A stored object that is stale
is fetched again. ``agent/warm/response.py`` reads the result.
"""

from __future__ import annotations

from nova_cachemig.agent.engine import names


def warm_headers(service: str, host: str) -> dict[str, str]:
    """Return the headers of a fetch of ``host`` (see ``PageKey.host``).

    Add X-Cachemig-Nonce to store a page that no user finds, or X-Cachemig-Try to store nothing.
    X-Cachemig-Commit has users find the page; it is the nonce times 8 plus the flags of the proof.
    Without these, only pages that the owner declares to be the same for all users are stored.
    """
    return {"Host": host, "X-Cachemig-Service": names.encode_service(service)}
