"""Changes of an instance, outside of migrations, after which its address may be another one."""

from __future__ import annotations

import enum


class InstanceChange(enum.StrEnum):
    """The changes that nova-compute reports."""

    DELETED = "deleted"  # it is deleted, also if it can be restored, or is being deleted
    DETACHED = "detached"  # it has lost a port or an address
    CHANGED = "changed"  # it has got a port or an address, or is restored
