"""The result of a check."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Iterable


class Status(enum.StrEnum):
    """How serious a verdict is."""

    OK = "ok"
    WARNING = "warning"  # it works, but not as it should
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclasses.dataclass(frozen=True, slots=True)
class Verdict:
    """``what`` is the finding in one sentence, ``remedy`` the operator's next step."""

    status: Status
    what: str
    remedy: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class Finding:
    """A verdict and the name of its check, for instance ``bus.rights``."""

    check: str
    verdict: Verdict


def ok(what: str) -> Verdict:
    """Nothing is wrong."""
    return Verdict(Status.OK, what)


def warning(what: str, remedy: str) -> Verdict:
    """It works, but not as it should."""
    return Verdict(Status.WARNING, what, remedy)


def failed(what: str, remedy: str) -> Verdict:
    """It does not work."""
    return Verdict(Status.FAILED, what, remedy)


def skipped(why: str) -> Verdict:
    """The check was not made; ``why`` is the reason, without "because"."""
    return Verdict(Status.SKIPPED, f"because {why}")


def exit_code(findings: Iterable[Finding]) -> int:
    """1 if a check failed, otherwise 0."""
    return int(any(finding.verdict.status is Status.FAILED for finding in findings))
