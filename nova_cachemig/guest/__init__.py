"""RUNS IN A GUEST'S APPLICATION: honours Idempotency-Key, so that writes can be repeated.

Belongs here: the WSGI and the ASGI middleware, their decisions, and the store of keys. The package
imports only itself and the standard library, so that a guest can install it without dependencies.
"""

from nova_cachemig.guest.asgi import AsgiIdempotency
from nova_cachemig.guest.response import Response
from nova_cachemig.guest.settings import AfterCrash, Settings
from nova_cachemig.guest.sqlite import SqliteStore
from nova_cachemig.guest.store import Record, State, Store, StoreError, StoreFull
from nova_cachemig.guest.wsgi import WsgiIdempotency

__all__ = [
    "AfterCrash",
    "AsgiIdempotency",
    "Record",
    "Response",
    "Settings",
    "SqliteStore",
    "State",
    "Store",
    "StoreError",
    "StoreFull",
    "WsgiIdempotency",
]
