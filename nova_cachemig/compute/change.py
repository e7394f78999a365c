"""Reads Nova's notifications after which an address may belong to another instance."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from nova_cachemig.compute.notification import NotUnderstoodError
from nova_cachemig.model.change import InstanceChange

# nova/compute/manager.py and api.py of Nova 34 (and 32, 33). Left out on purpose:
# - interface_detach.start: the instance still has the port. The end follows it;
# - rebuild, evacuate, shelve, unshelve, resize: the port and its addresses stay the instance's.
# nova-api publishes the deletion of an instance without a host, if its nova.conf has the driver.
# No notification says that a port was deleted in Neutron.
_VERSIONED = {
    "instance.delete.start": InstanceChange.DELETED,
    "instance.delete.end": InstanceChange.DELETED,
    "instance.soft_delete.start": InstanceChange.DELETED,
    "instance.soft_delete.end": InstanceChange.DELETED,
    "instance.restore.end": InstanceChange.CHANGED,
    "instance.interface_detach.end": InstanceChange.DETACHED,
    "instance.interface_attach.end": InstanceChange.CHANGED,
}
# In this format Nova does not say that a port is attached or detached.
_UNVERSIONED = {
    "compute.instance.delete.start": InstanceChange.DELETED,
    "compute.instance.delete.end": InstanceChange.DELETED,
    "compute.instance.soft_delete.start": InstanceChange.DELETED,
    "compute.instance.soft_delete.end": InstanceChange.DELETED,
    "compute.instance.restore.end": InstanceChange.CHANGED,
    "compute.instance.delete_ip.end": InstanceChange.DETACHED,
    "compute.instance.create_ip.end": InstanceChange.CHANGED,
}


@dataclasses.dataclass(frozen=True, slots=True)
class ChangeNotice:
    """One notification. ``request`` may be empty."""

    change: InstanceChange
    instance: str
    request: str


def is_relevant(event_type: object, *, versioned: bool) -> bool:
    """Whether :func:`read` applies."""
    return event_type in (_VERSIONED if versioned else _UNVERSIONED)


def read(ctxt: Mapping[str, Any], message: Mapping[str, Any]) -> ChangeNotice:
    """The change of a notification for which :func:`is_relevant` is true.

    Raises :class:`~.notification.NotUnderstoodError`.
    """
    name = str(message.get("event_type"))
    try:
        if name in _VERSIONED:
            change, instance = _VERSIONED[name], message["payload"]["nova_object.data"]["uuid"]
        else:
            change, instance = _UNVERSIONED[name], message["payload"]["instance_id"]
    except (KeyError, TypeError) as exc:
        raise NotUnderstoodError(f"{name:.100}: {exc!r}") from exc
    if not isinstance(instance, str) or not instance:
        raise NotUnderstoodError(f"{name}: no instance")
    return ChangeNotice(change, instance, str(ctxt.get("request_id") or ""))
