"""The time for which a migration paused its guest, from libvirt's events."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

import libvirt

SUSPENDED: Final = {
    libvirt.VIR_DOMAIN_EVENT_SUSPENDED_MIGRATED: "suspended",
    libvirt.VIR_DOMAIN_EVENT_SUSPENDED_POSTCOPY: "suspended post-copy",
}
RESUMED: Final = {
    libvirt.VIR_DOMAIN_EVENT_RESUMED_MIGRATED: "resumed",
    libvirt.VIR_DOMAIN_EVENT_RESUMED_POSTCOPY: "resumed post-copy",
}


class Watch(threading.Thread):
    """Listens to the libvirtd of each compute host until it is asked for a report."""

    def __init__(self, uuid: str, computes: Mapping[str, str]) -> None:
        """``computes``: name of the host → socket of its libvirtd, which needs no password."""
        super().__init__(daemon=True)
        self.uuid = uuid
        self.events: list[dict[str, Any]] = []
        self.iteration = 0
        self.done = False
        libvirt.virEventRegisterDefaultImpl()
        libvirt.registerErrorHandler(lambda *_: None, None)
        # The loop sleeps until the next event; the timer lets it end earlier.
        libvirt.virEventAddTimeout(200, lambda *_: None, None)
        self.connections = [self.listen(name, path) for name, path in computes.items()]

    def listen(self, host: str, path: str) -> Any:
        connection = libvirt.openReadOnly(f"qemu+unix:///system?socket={path}")
        connection.domainEventRegisterAny(
            None, libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE, self.take, host
        )
        connection.domainEventRegisterAny(
            None, libvirt.VIR_DOMAIN_EVENT_ID_MIGRATION_ITERATION, self.count, None
        )
        return connection

    def count(self, connection: Any, domain: Any, iteration: int, opaque: object) -> None:
        if domain.UUIDString() == self.uuid:
            self.iteration = iteration

    def take(self, connection: Any, domain: Any, event: int, detail: int, host: str) -> None:
        if domain.UUIDString() != self.uuid:
            return
        name = None
        if event == libvirt.VIR_DOMAIN_EVENT_SUSPENDED:
            name = SUSPENDED.get(detail, "paused")
        elif event == libvirt.VIR_DOMAIN_EVENT_RESUMED:
            name = RESUMED.get(detail, "unpaused")
        if name:
            self.events.append({"at": time.time(), "host": host, "event": name})

    def run(self) -> None:
        while not self.done:
            libvirt.virEventRunDefaultImpl()

    def report(self) -> dict[str, Any]:
        time.sleep(0.3)
        self.done = True
        self.join(2)  # libvirt's loop must end before the interpreter
        return {"blackout_s": blackout(self.events), "events": self.events}


def blackout(events: Sequence[Mapping[str, Any]]) -> float | None:
    """From the first suspension to the first resumption after it."""
    began = next((e["at"] for e in events if e["event"].startswith("suspended")), None)
    if began is None:
        return None
    ended = next(
        (
            e["at"]
            for e in events
            if e["at"] > began and e["event"] in ("resumed", "resumed post-copy", "unpaused")
        ),
        None,
    )
    return None if ended is None else round(ended - began, 3)
