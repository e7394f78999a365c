"""The time for which a migration paused its guest, from libvirt's events."""

import threading
import time

import libvirt

SUSPENDED = {
    libvirt.VIR_DOMAIN_EVENT_SUSPENDED_MIGRATED: "suspended",
    libvirt.VIR_DOMAIN_EVENT_SUSPENDED_POSTCOPY: "suspended post-copy",
}
RESUMED = {
    libvirt.VIR_DOMAIN_EVENT_RESUMED_MIGRATED: "resumed",
    libvirt.VIR_DOMAIN_EVENT_RESUMED_POSTCOPY: "resumed post-copy",
}


class Watch(threading.Thread):
    """Listens to the libvirtd of each compute host until it is asked for a report."""

    def __init__(self, uuid, computes):
        super().__init__(daemon=True)
        self.uuid = uuid
        self.events = []
        self.iteration = 0
        self.done = False
        libvirt.virEventRegisterDefaultImpl()
        libvirt.registerErrorHandler(lambda *_: None, None)
        # The loop sleeps until the next event; the timer lets it end earlier.
        libvirt.virEventAddTimeout(200, lambda *_: None, None)
        self.connections = [self.listen(name, address) for name, address in computes.items()]

    def listen(self, host, address):
        connection = libvirt.openReadOnly(f"qemu+tcp://{address}/system")
        connection.domainEventRegisterAny(
            None, libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE, self.take, host
        )
        connection.domainEventRegisterAny(
            None, libvirt.VIR_DOMAIN_EVENT_ID_MIGRATION_ITERATION, self.count, None
        )
        return connection

    def count(self, connection, domain, iteration, opaque):
        if domain.UUIDString() == self.uuid:
            self.iteration = iteration

    def take(self, connection, domain, event, detail, host):
        if domain.UUIDString() != self.uuid:
            return
        name = None
        if event == libvirt.VIR_DOMAIN_EVENT_SUSPENDED:
            name = SUSPENDED.get(detail, "paused")
        elif event == libvirt.VIR_DOMAIN_EVENT_RESUMED:
            name = RESUMED.get(detail, "unpaused")
        if name:
            self.events.append({"at": time.time(), "host": host, "event": name})

    def run(self):
        while not self.done:
            libvirt.virEventRunDefaultImpl()

    def report(self):
        time.sleep(0.3)
        self.done = True
        self.join(2)  # libvirt's loop must end before the interpreter
        return {"blackout_s": blackout(self.events), "events": self.events}


def blackout(events):
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
