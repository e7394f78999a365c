"""Runs the checks one after the other. Each has a deadline, and none ends the others."""

from __future__ import annotations

import dataclasses
import logging
import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from nova_cachemig.doctor.verdict import Finding, Status, Verdict, failed, skipped

LOG = logging.getLogger(__name__)

DEADLINE: Final = 5.0
"""Seconds for one check."""
_BUG: Final = "This is a defect of the check: report it with the output of --debug"
_OVERDUE: Final = (
    "Check that the service behind it responds, and that no firewall drops packets to it"
)


@dataclasses.dataclass(frozen=True, slots=True)
class Check:
    """``run`` may block: at the deadline it is left behind in its thread.

    ``needs``: names of checks without which this one has no meaning. It is skipped unless each of
    them has passed.
    """

    name: str
    run: Callable[[], Iterable[Verdict]]
    needs: tuple[str, ...] = ()


def run(checks: Iterable[Check], deadline: float = DEADLINE) -> list[Finding]:
    """Return all findings, in the order of the checks."""
    found: list[Finding] = []
    passed: set[str] = set()
    for check in checks:
        missing = [name for name in check.needs if name not in passed]
        if missing:
            verdicts = [skipped(f"{missing[0]} has not passed")]
        else:
            verdicts = _bounded(check, deadline)
        found += [Finding(check.name, verdict) for verdict in verdicts]
        if all(verdict.status in {Status.OK, Status.WARNING} for verdict in verdicts):
            passed.add(check.name)
    return found


def _bounded(check: Check, deadline: float) -> list[Verdict]:
    results: queue.SimpleQueue[list[Verdict]] = queue.SimpleQueue()
    name = f"cachemig-doctor-{check.name}"
    threading.Thread(target=lambda: results.put(_run(check)), name=name, daemon=True).start()
    try:
        return results.get(timeout=deadline)
    except queue.Empty:
        return [failed(f"The check has no result after {deadline:g} s", _OVERDUE)]


def _run(check: Check) -> list[Verdict]:
    return list(_guarded(check))


def _guarded(check: Check) -> Iterator[Verdict]:
    """Yield the verdicts up to an unforeseen error, which is one more verdict."""
    try:
        yield from check.run()
    except Exception as exc:
        LOG.debug("check %s", check.name, exc_info=True)
        yield failed(f"The check ended with {type(exc).__name__}: {exc}", _BUG)
