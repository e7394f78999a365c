#!/usr/bin/env python3
"""Counts the results of the last stestr run, and fails tests that are skipped without permission.

Reads a subunit v2 stream from standard input, as in ``stestr last --subunit | tools/results.py``.
Prints "PASSED FAILED SKIPPED" to standard output, and each skipped test to standard error.

The argument is a file with the output of ``stestr list``. A listed test without a result is a
failure: stestr does not notice that a worker has died between two tests.
"""

from __future__ import annotations

import collections
import re
import sys
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import IO, Any, NamedTuple

import subunit
import testtools

ALLOWED_SKIPS = Path(__file__).resolve().parents[1] / "tests/allowed-skips.txt"
"""One a line: the pattern of a test's id, a colon, the reason."""

NEVER_RAN = "never ran"
"""The status of a test without a result."""

_ID = re.compile(r"[\w.]+(?:\(.*\)|\[.*\])?")


class Counts(NamedTuple):
    """Of tests."""

    passed: int
    failed: int
    skipped: int


def allowed_skips(text: str) -> dict[str, str]:
    """Return the reason by pattern; raises ValueError for a line without a reason."""
    allowed = {}
    for line in text.splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        pattern, _, reason = (part.strip() for part in line.partition(":"))
        if not reason:
            raise ValueError(f"{ALLOWED_SKIPS.name}: no reason: {line}")
        allowed[pattern] = reason
    return allowed


def statuses(stream: IO[bytes]) -> list[tuple[str, str, str]]:
    """Return id, status and reason of each test. A test that never ended is "inprogress"."""
    found: list[tuple[str, str, str]] = []

    def note(test: Mapping[str, Any]) -> None:
        reason = test["details"].get("reason")
        found.append((test["id"], test["status"], reason.as_text() if reason else ""))

    collect = testtools.StreamToDict(note)
    collect.startTestRun()
    subunit.ByteStreamToStreamResult(stream, non_subunit_name="stdout").run(collect)
    collect.stopTestRun()
    return [test for test in found if test[1] not in ("exists", "unknown")]


def judge(
    tests: Iterable[tuple[str, str, str]], allowed: Iterable[str]
) -> tuple[Counts, list[str]]:
    """Count; a skip that is not allowed is a failure. Also return a line for each skip."""
    counts: collections.Counter[str] = collections.Counter()
    lines = []
    patterns = list(allowed)
    for name, status, reason in tests:
        if status == "skip":
            permitted = any(fnmatchcase(name, pattern) for pattern in patterns)
            counts["skipped" if permitted else "failed"] += 1
            lines.append(f"{'skipped' if permitted else 'FAILED, skipped'}  {name}: {reason}")
        elif status == NEVER_RAN:
            counts["failed"] += 1
            lines.append(f"FAILED, never ran  {name}")
        else:
            # A failure that is expected is one: a test that may fail shows nothing.
            counts["passed" if status == "success" else "failed"] += 1
    return Counts(counts["passed"], counts["failed"], counts["skipped"]), lines


def without_result(tests: Iterable[tuple[str, str, str]], listed: str) -> list[str]:
    """Return the ids in ``listed``, one a line, of which the run reported nothing."""
    seen = {name for name, _, _ in tests}
    ids = [line for line in listed.splitlines() if _ID.fullmatch(line)]
    return [name for name in ids if name not in seen]


def main() -> int:
    """Print the counts."""
    allowed = allowed_skips(ALLOWED_SKIPS.read_text())
    tests = statuses(sys.stdin.buffer)
    if len(sys.argv) > 1:
        missing = without_result(tests, Path(sys.argv[1]).read_text())
        tests += [(name, NEVER_RAN, "") for name in missing]
    counts, lines = judge(tests, allowed)
    for line in lines:
        print(line, file=sys.stderr)
    print(*counts)
    return 0


if __name__ == "__main__":
    sys.exit(main())
