"""Verdicts on the connection to libvirt."""

from __future__ import annotations

from nova_cachemig.doctor.verdict import Verdict, failed, ok


def refused(uri: str, error: str, remedy: str) -> Verdict:
    """The watcher cannot connect, so the agent learns of pauses from its probes only."""
    return failed(f"libvirt at {uri} cannot be opened: {error}", remedy[:1].upper() + remedy[1:])


def connected(uri: str, version: int, account: int) -> Verdict:
    """``version`` as libvirt encodes it; ``account``: the user id that has connected."""
    release = f"{version // 1_000_000}.{version // 1000 % 1000}.{version % 1000}"
    return ok(f"libvirt {release} at {uri} accepts a read-only connection of user id {account}")
