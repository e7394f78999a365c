"""The variables that CACHEMIG_ENGINES sets."""

from __future__ import annotations

import tempfile
import unittest
from pathlib import Path

from tests.functional.other_engines import environment


class EnvironmentTest(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = Path(folder.name)

    def unpack(self, *files: str) -> None:
        for file in files:
            (self.root / file).parent.mkdir(parents=True, exist_ok=True)
            (self.root / file).touch()

    def test_haproxy_alone_is_found_before_that_of_the_host(self) -> None:
        self.unpack("usr/sbin/haproxy")
        self.assertEqual({"PATH": f"{self.root}/usr/sbin:/bin"}, environment(self.root, "/bin"))

    def test_varnish_finds_its_own_modules(self) -> None:
        self.unpack("usr/sbin/haproxy", "usr/sbin/varnishd", "usr/lib/arch/varnish/vmods/std.so")
        modules = self.root / "usr/lib/arch/varnish/vmods"
        self.assertEqual(
            f"-j,none,-p,vmod_path={modules}",
            environment(self.root, "/bin")["OS_ENGINE__VARNISHD_ARGS"],
        )

    def test_a_directory_without_haproxy_is_an_error(self) -> None:
        with self.assertRaisesRegex(FileNotFoundError, "CACHEMIG_ENGINES"):
            environment(self.root, "/bin")
