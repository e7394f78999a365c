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
    settings: tuple[str, ...] = ()  # of tools/cloud set-migration, on top of the preset
    load: tuple[str, ...] = ()  # of tools/measure load, instead of the usual
    after: float = 4.0  # seconds of load after the migration
    protected_first: bool = False


# Over 10,000 writes wait when the guest returns, and go on coming: 150 a second all the time, and
# 11,000 more while it is silent, which is twice as long as in precopy-5s (half the link's speed,
# twice the limit). They come from devices that prefer a 202 at once; people read beside them.
# Without us each waits on a connection of its own: last, as that may be too much for the guest.
_DRAIN: Final = Case(
    "drain-10k",
    "5s",
    settings=("link_speed=8", "downtime=37200"),
    load=(
        *("--rate", "200", "--writes", "0.75", "--item-reads", "0.02", "--items", "500"),
        *("--clients", "600", "--writers", "400", "--respond-async"),
        *("--surge", "11000", "--surge-rate", "1150"),
    ),
    after=30.0,
    protected_first=True,
)


CASES: Final = {
    case.name: case
    for case in (
        Case("precopy-1s", "1s"),
        Case("precopy-5s", "5s"),
        Case("postcopy", "postcopy", ("--postcopy",)),
        Case("block-1s", "1s", ("--block",), shared=False),
        _DRAIN,
    )
}
# Block migration costs a change of storage and a new guest, a drain two long runs: more minutes
# than 15 allow.
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
