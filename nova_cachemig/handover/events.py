"""What can happen during a handover."""

from __future__ import annotations

import dataclasses
import enum


class EventKind(enum.StrEnum):
    """The events; who sees them stands behind each."""

    BEGIN = "begin"  # Nova: live_migration_pre.start
    RECOVER = "recover"  # the agent, which finds this handover on its disk when it starts
    ARM = "arm"  # Nova: live_migration_pre.end; memory copy is next
    PAUSED = "paused"  # libvirt at the source
    RESUMED = "resumed"  # libvirt at the destination
    SWITCHOVER_FAILED = "switchover_failed"  # libvirt at the source
    SILENT = "silent"  # the prober
    ANSWERS = "answers"  # the prober
    DRAINED = "drained"  # the journal: nothing waits, nothing is in flight
    RELEASE_DONE = "release_done"  # the manager: the services are in pass
    RELEASE_FAILED = "release_failed"  # the manager: a write came too late, drain again
    STILL_RUNNING = "still_running"  # Nova, asked: the migration goes on
    COMPLETED = "completed"  # Nova: post_dest.end, or asked
    ROLLED_BACK = "rolled_back"  # Nova: rollback.end, or asked
    DEADLINE = "deadline"  # the watchdog: nobody knows any more


@dataclasses.dataclass(frozen=True, slots=True)
class Event:
    """``at`` is in UNIX seconds; ``detail`` is shown to a person behind the sentence."""

    kind: EventKind
    at: float
    detail: str = ""
    post_copy: bool = False  # of PAUSED and RESUMED: memory is still to follow
