from __future__ import annotations

import tempfile
import unittest
from pathlib import Path

from tests.unit.tools.prose.repository import commit, git, repository
from tests.unit.tools.prose.test_rules import DATA
from tools.prose.commits import check_subjects
from tools.prose.rules import Rules


class SubjectsTest(unittest.TestCase):
    def setUp(self) -> None:
        self.root = repository(self)
        commit(self.root, "the old rules")
        self.after = commit(self.root, "another old one that ended")

    def found(self, root: Path) -> list[str]:
        commits = {**DATA["commits"], "after": self.after}
        return [f.text for f in check_subjects(root, Rules(DATA | {"commits": commits}))]

    def test_only_later_commits_count(self) -> None:
        commit(self.root, "the wrong one")
        commit(self.root, "add the right one")
        self.assertEqual(["the wrong one"], self.found(self.root))

    def test_a_shallow_clone_checks_its_newest(self) -> None:
        commit(self.root, "the wrong one")
        commit(self.root, "the newest wrong one")
        clone = self.root / "clone"
        git(self.root, "clone", "-q", "--depth", "1", f"file://{self.root}", str(clone))
        self.assertEqual(["the newest wrong one"], self.found(clone))

    def test_without_git_nothing_is_checked(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            self.assertEqual([], self.found(Path(folder)))
