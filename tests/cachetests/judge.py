"""Compares the results of the suite with the known failures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from typing import Final

from tests.cachetests.known import Known
from tests.cachetests.rig import Result

WHOLE: Final = frozenset({"auth", "vary", "vary-parse", "invalidation", "stale"})
"""The groups in which no required test may fail."""


def surprises(results: Sequence[Result], known: Collection[Known]) -> list[str]:
    """Return a line for each failure that is not known, and for each known one that is gone."""
    failed = {one.test: one for one in results if not one.passed and one.kind != "check"}
    lines = [
        f"{one.kind} {test}: {one.why}"
        for test, one in failed.items()
        if not any(entry.covers(test) for entry in known)
    ]
    lines += [
        f"passes, so remove it from known.py: {entry.tests}"
        for entry in known
        if not any(entry.covers(test) for test in failed)
    ]
    return lines


def passed(results: Sequence[Result], kind: str = "required") -> int:
    """Return how many tests of a kind passed."""
    return sum(one.passed for one in results if one.kind == kind)


def incomplete(results: Sequence[Result], groups: Collection[str] = WHOLE) -> list[str]:
    """Return the required tests that failed in these groups."""
    return [
        one.test
        for one in results
        if one.group in groups and one.kind == "required" and not one.passed
    ]


def table(results: Sequence[Result]) -> str:
    """Return the passed tests and all tests of each group and kind."""
    ran = Counter((one.group, one.kind) for one in results)
    good = Counter((one.group, one.kind) for one in results if one.passed)
    kinds = ("required", "optimal", "check")
    rows = []
    for group in sorted({one.group for one in results}):
        cells = (
            f"{good[group, kind]}/{ran[group, kind]}" if ran[group, kind] else "" for kind in kinds
        )
        rows.append(f"{group:20}" + "".join(f"{cell:>10}" for cell in cells))
    return "\n".join(rows)
