"""RUNS IN A GUEST'S APPLICATION: honours Idempotency-Key, so that a write may safely come again.

Belongs here: the WSGI and the ASGI middleware, what they decide by, where keys are kept. Not here:
anything of ours or of OpenStack: the room imports Python's standard library and itself only, so
that a guest can install it without any dependency.
"""

from nova_cachemig.guest.answer import Answer
from nova_cachemig.guest.asgi import AsgiIdempotency
from nova_cachemig.guest.settings import AfterCrash, Settings
from nova_cachemig.guest.sqlite import SqliteStore
from nova_cachemig.guest.store import Record, State, Store, StoreError, StoreFull
from nova_cachemig.guest.wsgi import WsgiIdempotency

__all__ = [
    "AfterCrash",
    "Answer",
    "AsgiIdempotency",
    "Record",
    "Settings",
    "SqliteStore",
    "State",
    "Store",
    "StoreError",
    "StoreFull",
    "WsgiIdempotency",
]
