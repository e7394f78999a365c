"""The cases of the demonstration: how the guest is migrated, and with which runs."""

from __future__ import annotations

import dataclasses
from typing import Final


@dataclasses.dataclass(frozen=True, slots=True)
class Case:
    """One way to migrate, made once without us and once with us."""

    name: str
    preset: str  # of tools/cloud: link, dirt and downtime limit that give a known blackout
    options: tuple[str, ...] = ()  # of tools/cloud migrate
    shared: bool = True  # storage


CASES: Final = {
    case.name: case
    for case in (
        Case("precopy-1s", "1s"),
        Case("precopy-5s", "5s"),
        Case("postcopy", "postcopy", ("--postcopy",)),
        Case("block-1s", "1s", ("--block",), shared=False),
    )
}
# Block migration costs a change of storage and a new guest: two minutes more than 15 allow.
DEFAULT: Final = ("precopy-1s", "precopy-5s", "postcopy")


def chosen(text: str) -> list[Case]:
    """Cases by their names, those of one storage together; raises ValueError."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    unknown = [name for name in names if name not in CASES]
    if unknown or not names:
        what = ", ".join(unknown) or repr(text)
        raise ValueError(f"unknown case {what}; there are {', '.join(CASES)}")
    wanted = [CASES[name] for name in dict.fromkeys(names)]
    return sorted(wanted, key=lambda case: not case.shared)
