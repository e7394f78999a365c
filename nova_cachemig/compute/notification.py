"""Reads Nova's notifications of live migrations, in both formats."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from nova_cachemig.model.event import EventKind

# nova/compute/manager.py of Nova 34 (and 32, 33). Left out on purpose:
# - live_migration_post.*: at the source, before its port bindings are moved: no place to wait,
#   and libvirt has reported it before;
# - live_migration_abort.*: has the request id of the DELETE and not of the migration, and says only
#   that it was asked for: the guest may have moved by then. A rollback follows one that works;
# - live_migration_force_complete.*: libvirt reports the pause;
# - compute.exception: names no instance. A rollback follows, or the agent's watchdog asks Nova.
_VERSIONED = {
    "instance.live_migration_pre.start": EventKind.BEGIN,
    "instance.live_migration_pre.end": EventKind.ARM,
    "instance.live_migration_post_dest.end": EventKind.COMPLETED,
    "instance.live_migration_rollback.start": EventKind.FAILED,
    "instance.live_migration_rollback.end": EventKind.ROLLED_BACK,
    "instance.live_migration_rollback_dest.end": EventKind.ROLLED_BACK,
}
_UNVERSIONED = {
    "compute.instance.live_migration.pre.start": EventKind.BEGIN,
    "compute.instance.live_migration.pre.end": EventKind.ARM,
    "compute.instance.live_migration.post.dest.end": EventKind.COMPLETED,
    "compute.instance.live_migration._rollback.start": EventKind.FAILED,
    "compute.instance.live_migration._rollback.end": EventKind.ROLLED_BACK,
    "compute.instance.live_migration.rollback.dest.end": EventKind.ROLLED_BACK,
}


class NotUnderstoodError(ValueError):
    """A notification of a known kind in an unknown shape."""


@dataclasses.dataclass(frozen=True, slots=True)
class MigrationEvent:
    """One notification.

    ``host`` published it. ``instance_host`` is the instance's host in Nova's database.
    """

    kind: EventKind
    instance: str
    request: str
    host: str
    instance_host: str | None
    name: str  # of the event in Nova


def is_relevant(event_type: object, *, versioned: bool) -> bool:
    """Whether :func:`read` applies. Most notifications cost nothing but this test."""
    return event_type in (_VERSIONED if versioned else _UNVERSIONED)


def read(ctxt: Mapping[str, Any], message: Mapping[str, Any]) -> MigrationEvent:
    """The event of a notification for which :func:`is_relevant` is true.

    Raises :class:`NotUnderstoodError`.
    """
    name = message.get("event_type")
    try:
        if name in _VERSIONED:
            data = message["payload"]["nova_object.data"]
            return _event(_VERSIONED[name], ctxt, message, data["uuid"], data, ":")
        if name in _UNVERSIONED:
            data = message["payload"]
            return _event(_UNVERSIONED[name], ctxt, message, data["instance_id"], data, ".")
    except (KeyError, TypeError, AttributeError) as exc:
        raise NotUnderstoodError(f"{name}: {exc!r}") from exc
    raise NotUnderstoodError(f"not a notification of a live migration: {name!r:.100}")


def _event(
    kind: EventKind,
    ctxt: Mapping[str, Any],
    message: Mapping[str, Any],
    instance: object,
    data: Mapping[str, Any],
    separator: str,
) -> MigrationEvent:
    # A publisher is nova-compute:HOST or compute.HOST, and a host's name may have dots.
    _source, found, host = str(message["publisher_id"]).partition(separator)
    # The versioned payload leaves the request out for a context without a user.
    request = data.get("request_id") or ctxt.get("request_id")
    if not isinstance(instance, str) or not instance:
        raise NotUnderstoodError(f"{message['event_type']}: no instance")
    if not isinstance(request, str) or not request:
        raise NotUnderstoodError(f"{message['event_type']}: no request id")
    if not found or not host:
        raise NotUnderstoodError(f"{message['event_type']}: publisher {message['publisher_id']!r}")
    instance_host = data.get("host")
    return MigrationEvent(
        kind=kind,
        instance=instance,
        request=request,
        host=host,
        instance_host=str(instance_host) if instance_host else None,
        name=str(message["event_type"]),
    )
