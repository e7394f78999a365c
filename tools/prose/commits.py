"""The subjects of the commits that are subject to the rules."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

from tools.prose.rules import Finding, Rules


def check_subjects(root: Path, rules: Rules) -> Iterator[Finding]:
    """Yield every violation of the commits after ``commits: after``.

    A shallow clone may lack that commit: there, the newest alone is checked. Without git (an
    unpacked archive) nothing is.
    """
    after = rules.commits["after"]
    known = _git(root, "cat-file", "-e", f"{after}^{{commit}}") is not None
    which = [f"{after}..HEAD"] if known else ["-1", "HEAD"]
    for line in (_git(root, "log", "--no-merges", "--format=%H %s", *which) or "").splitlines():
        commit, _, subject = line.partition(" ")
        yield from rules.subject(commit, subject)


def _git(root: Path, *args: str) -> str | None:
    try:
        done = subprocess.run(["git", *args], cwd=root, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout
