"""Verdicts on the service files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from nova_cachemig.doctor.verdict import Verdict, failed, ok, warning


def services(directory: str, found: int, mistakes: Mapping[str, Sequence[str]]) -> list[Verdict]:
    """``found``: number of valid services; ``mistakes`` by file, or by the directory."""
    verdicts = [
        failed(
            "; ".join(lines),
            f"Correct {where}. Until then, a running agent keeps the services that it has read, "
            "and an agent that starts has none",
        )
        for where, lines in mistakes.items()
    ]
    if verdicts:
        return verdicts
    if not found:
        return [
            warning(
                f"{directory} defines no service: no instance is protected",
                "Add one with: nova-cachemig-manage service add",
            )
        ]
    return [ok(f"{directory} defines {found} service{'' if found == 1 else 's'}")]
