from __future__ import annotations

import tempfile
import unittest
from pathlib import Path

from tools.prose.references import References

SETUP = """\
[entry_points]
nova_cachemig.manage =
    journal_list = m:List
    rank = m:Rank
"""


class ReferencesTest(unittest.TestCase):
    def found(self, text: str) -> list[str]:
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder)
            (root / "setup.cfg").write_text(SETUP)
            (root / "nova_cachemig/agent").mkdir(parents=True)
            (root / "nova_cachemig/agent/probe.py").touch()
            (root / "a.rst").write_text(text)
            return [finding.text for finding in References(root).check(Path("a.rst"))]

    def test_options(self) -> None:
        self.assertEqual([], self.found("``[agent] host``, ``[libvirt] connection_uri``"))
        self.assertEqual(["[agent] nonesuch"], self.found("Set ``[agent]\nnonesuch = 1``."))

    def test_files(self) -> None:
        self.assertEqual([], self.found("``agent/probe.py`` and ``/etc/x.py`` and ``tools/*``"))
        self.assertEqual(["agent/gone.py"], self.found("See ``agent/gone.py``."))
        self.assertEqual(["tools/gone"], self.found("Run `tools/gone --now`."))

    def test_commands(self) -> None:
        good = "``nova-cachemig-manage journal list``, ``nova-cachemig-manage rank UUID``"
        self.assertEqual([], self.found(good))
        self.assertEqual(
            ["nova-cachemig-manage journal gone"],
            self.found("::\n\n   $ nova-cachemig-manage journal gone\n"),
        )
