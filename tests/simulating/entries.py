"""The records that the agent and its journal make of a request."""

from __future__ import annotations

from nova_cachemig.model.methods import IDEMPOTENT
from nova_cachemig.replay.entry import Entry
from tests.simulating.guest import Write
from tests.simulating.plan import Plan

FRESH = "~"  # begins a key that the agent has made


def entry_of(plan: Plan, service: str, write: Write, early: bool) -> Entry:
    """Return what the machine sees of a write."""
    keyed = plan.honours_keys[service] and write.key is not None
    return Entry(
        write=write,
        client=write.client,
        page=write.page,
        idempotent=write.method in IDEMPOTENT,
        keyed=keyed,
        early=early or plan.accept[service],
        keep=write.key is not None and not write.key.startswith(FRESH),
    )


def keys_of(entry: Entry) -> tuple[str, ...]:
    """Return the keys of the reads that follow a write."""
    return f"url:{entry.page}", f"client:{entry.client}"
