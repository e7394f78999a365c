"""The effects of a policy and of the warming in a handover, as text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

_WAYS: Final = {"hits": "from the cache", "held": "held", "asked": "from the guest"}


def effects_text(effects: Mapping[str, Any]) -> str:
    """Return the lines for an operator; ``effects`` is from :class:`model.reads.ReadCounts`."""
    lines = [f"{effects['started']}, {effects['request']}"]
    for way, label in _WAYS.items():
        counts = effects.get(way, {})
        if counts:
            lines.append(f"{label}: {sum(counts.values())} ({_counts(counts)})")
    lines += [
        f"{why}, for instance: {', '.join(paths)}"
        for why, paths in sorted(effects.get("examples", {}).items())
    ]
    for rule in effects.get("rules", ()):
        did = {label: rule[way] for way, label in _WAYS.items() if way in rule}
        lines.append(f"rule {rule['rule']} ({rule['origin']}): {_counts(did)}")
    if effects.get("warming"):
        lines.append(f"warming: {_counts(effects['warming'])}")
    return "\n".join(lines)


def _counts(counts: Mapping[str, int]) -> str:
    most = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{name} {number}" for name, number in most)
