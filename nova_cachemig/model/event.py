"""The events of a handover, by one name everywhere: on the wire, in the table, in the log."""

from __future__ import annotations

import enum
from typing import Final


class EventKind(enum.StrEnum):
    """The events, each with its source."""

    BEGIN = "begin"  # Nova: live_migration_pre.start
    RECOVER = "recover"  # the agent finds this handover on its disk when it starts
    WRITES_FOUND = "writes_found"  # the agent finds writes on its disk, but no handover of them
    UNANNOUNCED = "unannounced"  # the manager: a guest is paused and no migration was announced
    ARM = "arm"  # Nova: live_migration_pre.end; memory copy is next
    PAUSED = "paused"  # libvirt: execution stopped at the source for the switchover
    RESUMED = "resumed"  # libvirt: execution began at the destination
    SWITCHOVER_FAILED = "switchover_failed"  # libvirt: execution continues at the source
    SILENT = "silent"  # the prober
    REACHABLE = "reachable"  # the prober
    CAUGHT_UP = "caught_up"  # the journal: only few, new writes wait
    RELEASE_DONE = "release_done"  # the manager: the services are in pass
    REARMED = "rearmed"  # the manager: the journal is empty, and the edge is armed again
    RELEASE_FAILED = "release_failed"  # the manager: a write came too late, drain again
    STILL_RUNNING = "still_running"  # Nova's API: the migration continues
    COMPLETED = "completed"  # Nova: post_live_migration at the destination is done, or its API
    FAILED = "failed"  # Nova: an error or an abort; the rollback begins
    ROLLED_BACK = "rolled_back"  # Nova: the rollback is done, or its API
    DELETED = "deleted"  # Nova's API: the instance no longer exists
    TARGET_LOST = "target_lost"  # the services: Nova has to confirm the guest's address first
    TARGET_FOUND = "target_found"  # the services: Nova has confirmed an address of the guest
    REMOVED = "removed"  # the manager: the operator has removed all services of the handover
    DEADLINE = "deadline"  # the watchdog: no source knows how the migration stands


FROM_COMPUTE: Final = frozenset(
    {
        EventKind.PAUSED,
        EventKind.RESUMED,
        EventKind.SWITCHOVER_FAILED,
        EventKind.COMPLETED,
        EventKind.FAILED,
        EventKind.ROLLED_BACK,
    }
)
"""The events that nova-compute reports over RPC. The agent refuses any other."""
