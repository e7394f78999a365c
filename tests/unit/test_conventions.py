"""The tests of this project keep to its conventions."""

import ast
import re
import unittest
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest import mock

import yaml

from tests import conventions, names
from tools.results import allowed_skips

TESTS = conventions.ROOT / "tests"
SERVICE_TIMES = {"test_warmer.py:respond"}
"""Handlers that sleep because a guest takes time, which the code measures."""


class ThisProject(unittest.TestCase):
    def test_each_test_asserts_something(self) -> None:
        found = [f for path in TESTS.rglob("*.py") for f in conventions.without_assertion(path)]
        self.assertEqual([], found)

    def test_no_unit_test_waits_by_the_clock(self) -> None:
        paths = [path for path in (TESTS / "unit").rglob("*.py") if path != Path(__file__)]
        found = [place for path in paths for place in conventions.sleeps(path, SERVICE_TIMES)]
        self.assertEqual([], found, "wait for an event, or give the code a clock")

    def test_no_test_is_skipped_without_permission(self) -> None:
        allowed = allowed_skips(conventions.ALLOWED_SKIPS.read_text())
        found = [
            place for path in TESTS.rglob("*.py") for place in conventions.skips(path, allowed)
        ]
        self.assertEqual([], found, f"see {conventions.ALLOWED_SKIPS.name}")

    def test_each_imported_name_exists(self) -> None:
        found = [f for path in TESTS.rglob("*.py") for f in names.unknown_imports(path)]
        self.assertEqual([], found)

    def test_each_patched_name_exists(self) -> None:
        found = [f for path in TESTS.rglob("*.py") for f in names.unknown_patches(path)]
        self.assertEqual([], found)

    def test_each_module_has_a_test_of_its_name(self) -> None:
        self.assertEqual([], conventions.untested(), f"see {conventions.TESTED_ELSEWHERE.name}")

    def test_modules_that_are_tested_elsewhere_are(self) -> None:
        for entry in conventions.elsewhere():
            with self.subTest(entry.pattern):
                self.assertEqual([], entry.faults())

    def test_one_process_runs_each_functional_test(self) -> None:
        functional = TESTS / "functional"
        workers = yaml.safe_load((functional / "workers.yaml").read_text())
        patterns = [pattern for one in workers for pattern in one["worker"]]
        for path in functional.glob("*/__init__.py"):
            name = f"tests.functional.{path.parent.name}.test_it"
            with self.subTest(name):
                self.assertEqual(1, sum(bool(re.search(p, name)) for p in patterns))

    def test_no_error_begins_with_a_capital(self) -> None:
        paths = conventions.SOURCE.rglob("*.py")
        found = [place for path in paths for place in conventions.capitalized_errors(path)]
        self.assertEqual([], found)

    def test_a_package_has_no_code_of_its_own(self) -> None:
        for path in conventions.SOURCE.rglob("__init__.py"):
            with self.subTest(path):
                nodes = ast.walk(ast.parse(path.read_text()))
                code = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
                self.assertEqual([], [node for node in nodes if isinstance(node, code)])


class Checking(unittest.TestCase):
    def setUp(self) -> None:
        self.root = Path(self.enterContext(TemporaryDirectory())).resolve()
        (self.root / "tests").mkdir()
        self.enterContext(mock.patch.object(conventions, "ROOT", self.root))

    def write(self, text: str, name: str = "test_x.py") -> Path:
        path = self.root / "tests" / name
        path.write_text(text)
        return path

    def test_an_error_that_begins_with_a_capital_is_found(self) -> None:
        path = self.write(
            "ValueError('Cannot read')\n"
            "x.QueryError(f'The file {path}')\n"
            "ValueError('the file')\n"
            "ValueError('Nova knows nothing')\n"
            "print('The file')\n"
        )
        found = list(conventions.capitalized_errors(path))
        self.assertEqual(["test_x.py:1: Cannot read", "test_x.py:2: The file "], found)

    def test_an_assertion_may_be_in_a_helper(self) -> None:
        self.write("class Base:\n def check(self): self.assertTrue(self)\n", "base.py")
        path = self.write(
            "from tests.base import Base\n"
            "class T(Base):\n"
            " def test_none(self): self.helper()\n"
            " def test_direct(self): self.assertEqual(1, 1)\n"
            " def test_raises(self):\n"
            "  with self.assertRaises(OSError): pass\n"
            " def test_imported(self): self.check()\n"
            " def test_through_another(self): self.through()\n"
            " async def test_plain(self): assert self\n"
            " def test_fail(self): self.fail()\n"
            " def helper(self): self.helper()\n"
            " def through(self): self.check()\n"
        )
        self.assertEqual(["tests/test_x.py:3 test_none"], conventions.without_assertion(path))

    def test_sleeps(self) -> None:
        path = self.write(
            "async def test():\n"
            " await asyncio.sleep(0)\n"
            " await asyncio.sleep(delay)\n"
            " while not ready:\n"
            "  await asyncio.sleep(0.01)\n"
            " time.sleep(0.5)\n"
            " for n in range(3): await sleep(0.1)\n"
            " async def respond(): await sleep(0.2)\n"
        )
        self.assertEqual(
            ["tests/test_x.py:6 time.sleep(0.5)", "tests/test_x.py:7 sleep(0.1)"],
            conventions.sleeps(path, {"test_x.py:respond"}),
        )

    def test_skips(self) -> None:
        path = self.write(
            "@unittest.skipIf(a, b)\n"
            "class T:\n"
            " def setUp(self): raise unittest.SkipTest('why')\n"
            " def test(self): self.skipTest('why')\n"
        )
        self.assertEqual(
            ["skipIf", "SkipTest", "skipTest"],
            [place.partition(" ")[2] for place in conventions.skips(path)],
        )
        self.assertEqual([], conventions.skips(path, {"tests.test_x.T.*"}))
        self.assertEqual(3, len(conventions.skips(path, {"tests.test_xy.T.*"})))

    def test_imported_names(self) -> None:
        self.write("import os as system\nONE = 1\ndef two(): pass\nclass Three: pass\n", "x.py")
        path = self.write(
            "from tests.x import ONE, two, Three, system\n"
            "from tests.x import gone, two as other\n"
            "from tests import x, test_y, gone\n"
            "from os import gone\n"
        )
        (self.root / "tests/__init__.py").touch()
        self.assertEqual(
            ["2 tests.x.gone", "3 tests.test_y", "3 tests.gone"],
            [f.removeprefix("tests/test_x.py:") for f in names.unknown_imports(path)],
        )

    def test_patched_names(self) -> None:
        path = self.write(
            "import time\n"
            "from tests import conventions as c\n"
            "from tests.conventions import Module\n"
            "def test():\n"
            " mock.patch.object(c, 'ROOT')\n"
            " mock.patch.object(c, 'gone')\n"
            " mock.patch.object(c.ast, 'gone')\n"
            " mock.patch.object(c.gone, 'name')\n"
            " mock.patch.object(Module, 'read')\n"
            " mock.patch.object(Module, 'gone')\n"
            " mock.patch.multiple(c, ROOT=1, lost=2)\n"
            " mock.patch('tests.conventions.gone')\n"
            " mock.patch('tests.gone.name')\n"
            " mock.patch('tests.conventions.ROOT')\n"
            " mock.patch.object(time, 'gone')\n"
            " mock.patch.object(c, name)\n"
            "def test_local(c):\n"
            " mock.patch.object(c, 'gone')\n"
        )
        expected = [
            *("6 c.gone", "7 c.ast.gone", "8 c.gone.name", "10 Module.gone", "11 c.lost"),
            *("12 tests.conventions.gone", "13 tests.gone.name"),
        ]
        found = names.unknown_patches(path)
        self.assertEqual([f"tests/test_x.py:{place}" for place in expected], found)

    def test_an_entry_of_the_list(self) -> None:
        entry = conventions.Elsewhere.parse("a/b* | unit/test_c.py | why")
        self.assertEqual(("a/b*", "why"), (entry.pattern, entry.reason))
        self.assertEqual((self.root / "tests/unit/test_c.py",), entry.tests)
        self.assertEqual((), conventions.Elsewhere.parse("a | - | data").tests)
        with self.assertRaises(ValueError):
            conventions.Elsewhere.parse("a | b")

    def test_faults_of_an_entry(self) -> None:
        source = self.root / "nova_cachemig"
        (source / "a").mkdir(parents=True)
        for name in ("b", "c"):
            (source / "a" / f"{name}.py").write_text("")
        (source / "a/d.py").write_text("from nova_cachemig.a import c\n")
        self.write("from nova_cachemig.a import d\n", "test_d.py")
        with mock.patch.object(conventions, "SOURCE", source):
            for line, faults in (
                ("a/c | test_d.py | imported by d", []),
                ("a/b | test_d.py | why", ["a/b: none of its tests imports it"]),
                ("a/b | - | data", []),
                ("a/b | - | ", ["a/b: no reason"]),
                ("a/b | test_e.py | why", ["a/b: no tests/test_e.py"]),
                ("x/* | - | why", ["x/*: no such module"]),
            ):
                with self.subTest(line):
                    self.assertEqual(faults, conventions.Elsewhere.parse(line).faults()[:1])
