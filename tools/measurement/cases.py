"""The cases of the demonstration: how the guest is migrated, and under which load."""

from __future__ import annotations

import dataclasses
from typing import Final

# A client that has written gets no page from before its write, so its reads are held. As on a real
# site, most clients only read.
_WRITERS: Final = ("--writers", "80")


@dataclasses.dataclass(frozen=True, slots=True)
class Case:
    """One way to migrate, measured once without nova-cachemig and once with it."""

    name: str
    preset: str  # of tools/cloud: sets link, write rate and downtime limit
    options: tuple[str, ...] = ()  # of tools/cloud migrate
    shared: bool = True  # storage
    settings: tuple[str, ...] = ()  # of tools/cloud set-migration, on top of the preset
    load: tuple[str, ...] = _WRITERS  # options of tools/measure load, in addition to the usual ones
    after: float = 4.0  # seconds of load after the migration
    protected_first: bool = False


# Over 10,000 writes wait when the guest returns, and more arrive: 150 per second all the time, and
# 11,000 during the blackout. It is twice as long as in precopy-5s (half the link speed, twice the
# limit). The writes come from devices that prefer an immediate 202; other clients only read. In the
# control each write waits on its own connection. It is last, because the guest may not survive it.
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
# 7 minutes. The others are left out: block-1s needs other storage and a new guest, a drain has two
# long runs.
DEFAULT: Final = ("precopy-1s", "precopy-5s", "postcopy")


def chosen(text: str) -> list[Case]:
    """Cases by their names, grouped by kind of storage; raises ValueError."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    unknown = [name for name in names if name not in CASES]
    if unknown or not names:
        what = ", ".join(unknown) or repr(text)
        raise ValueError(f"unknown case {what}; there are {', '.join(CASES)}")
    wanted = [CASES[name] for name in dict.fromkeys(names)]
    return sorted(wanted, key=lambda case: not case.shared)
