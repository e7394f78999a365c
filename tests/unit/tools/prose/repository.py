"""A git repository in a temporary directory."""

from __future__ import annotations

import subprocess
import tempfile
import unittest
from pathlib import Path

_WHO = ("-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false")


def git(root: Path, *args: str) -> str:
    done = subprocess.run(
        ["git", *_WHO, *args], cwd=root, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def repository(test: unittest.TestCase) -> Path:
    folder = tempfile.TemporaryDirectory()
    test.addCleanup(folder.cleanup)
    root = Path(folder.name)
    git(root, "init", "-q")
    return root


def commit(root: Path, subject: str) -> str:
    git(root, "commit", "-q", "--allow-empty", "-m", subject)
    return git(root, "rev-parse", "HEAD")
