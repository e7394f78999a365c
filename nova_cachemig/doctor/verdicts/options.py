"""Options of earlier versions that are still in configuration files."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping
from typing import Final


@dataclasses.dataclass(frozen=True, slots=True)
class Stale:
    """One option of an earlier version; ``removed``: this version ignores it."""

    group: str
    name: str
    advice: str
    removed: bool

    def __str__(self) -> str:
        return f"[{self.group}] {self.name}"


_RENAMED: Final = {
    ("journal", "settle"): "resume_delay",
    ("journal", "answer_timeout"): "response_timeout",
    ("journal", "max_answer"): "max_response",
    ("journal", "keep_answers"): "keep_responses",
    ("warm", "max_object"): "max_object_size",
    ("cachemig_scheduler", "settle_time"): "pending_time",
    ("nova", "interface"): "valid_interfaces",
}
"""The former names keep working."""

_REPLACED: Final = {
    ("engine", "max_object"): "use max_object_size, in bytes or with k, m or g",
}

_REMOVED: Final = {
    (
        "telemetry",
        name,
    ): "remove it, and set driver = cachemig in the [oslo_messaging_notifications] "
    "of each nova-compute"
    for name in (
        "notification_transport_url",
        "notification_exchange",
        "notification_topics",
        "notification_pool",
    )
}


def stale(sections: Mapping[str, Collection[str]]) -> list[Stale]:
    """Return the stale options among these, which are group → names, in their order."""
    found = []
    for group, names in sections.items():
        for name in sorted({name.replace("-", "_") for name in names}):
            key = (group, name)
            if key in _REMOVED:
                found.append(Stale(group, name, _REMOVED[key], removed=True))
            elif key in _RENAMED:
                found.append(Stale(group, name, f"rename it to {_RENAMED[key]}", removed=False))
            elif key in _REPLACED:
                found.append(Stale(group, name, _REPLACED[key], removed=False))
    return found
