"""The conventions of the tests and of the errors' texts, checked in their source.

Each test asserts something, no unit test waits by the clock, no test is skipped without permission,
and each module has a test of its name. No error begins with a capital. ``names.py`` checks the
names that tests use.
"""

from __future__ import annotations

import ast
import dataclasses
import re
from collections.abc import Collection, Iterator
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "nova_cachemig"
TESTED_ELSEWHERE = ROOT / "tests/tested-elsewhere.txt"
ALLOWED_SKIPS = ROOT / "tests/allowed-skips.txt"

_SKIPS = ("skip", "skipIf", "skipUnless", "skipTest", "SkipTest")

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclasses.dataclass(frozen=True)
class Module:
    """A file: its functions and methods by name, and the files of this project it imports."""

    path: Path
    tree: ast.Module
    functions: dict[str, list[Function]]
    imports: frozenset[Path]

    @classmethod
    @cache
    def read(cls, path: Path) -> Module:
        """Parse once."""
        tree = ast.parse(path.read_text(), str(path))
        functions: dict[str, list[Function]] = {}
        imports = set()
        for node in ast.walk(tree):
            if isinstance(node, Function):
                functions.setdefault(node.name, []).append(node)
            elif isinstance(node, ast.ImportFrom) and node.module:
                names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
                imports.update(filter(None, map(file_of, names)))
            elif isinstance(node, ast.Import):
                imports.update(filter(None, (file_of(alias.name) for alias in node.names)))
        return cls(path, tree, functions, frozenset(imports))

    def visible(self) -> Iterator[Module]:
        """Yield this module and the modules of this project that it imports, directly or not."""
        seen, queue = {self.path}, [self.path]
        while queue:
            module = Module.read(queue.pop())
            yield module
            queue += [path for path in module.imports if path not in seen]
            seen |= module.imports


def file_of(module: str) -> Path | None:
    """Return the file of a module of the package or the tests; None for others."""
    if module.split(".", maxsplit=1)[0] not in ("tests", SOURCE.name):
        return None
    path = ROOT.joinpath(*module.split("."))
    return next((p for p in (path.with_suffix(".py"), path / "__init__.py") if p.exists()), None)


def without_assertion(path: Path) -> list[str]:
    """Return the test methods of a file that assert nothing, as "file:line name"."""
    module = Module.read(path)
    helpers: dict[str, list[Function]] = {}
    for seen in module.visible():
        if SOURCE in seen.path.parents:
            continue
        for name, functions in seen.functions.items():
            helpers.setdefault(name, []).extend(functions)
    return [
        place(path, function, name)
        for name, functions in module.functions.items()
        if name.startswith("test")
        for function in functions
        if not _asserts(function, helpers, frozenset())
    ]


def _asserts(function: ast.AST, helpers: dict[str, list[Function]], above: frozenset[str]) -> bool:
    called = set()
    for node in ast.walk(function):
        if isinstance(node, ast.Assert):
            return True
        if isinstance(node, ast.Call):
            name = _called(node)
            if name.startswith("assert") or name == "fail":
                return True
            called.add(name)
    return any(
        all(_asserts(helper, helpers, above | called) for helper in helpers[name])
        for name in called - above
        if name in helpers
    )


def sleeps(path: Path, allowed: Collection[str] = ()) -> list[str]:
    """Return the sleeps of a constant time that wait for no particular event.

    A sleep in a loop is allowed: the loop checks its condition, and has a limit. A sleep of 0 is
    allowed too, because it lets other tasks of the event loop run. The functions that ``allowed``
    names ("file:name") may sleep.
    """
    found: list[str] = []

    def visit(node: ast.AST, exempt: bool) -> None:
        if isinstance(node, Function):
            exempt = f"{path.name}:{node.name}" in allowed
        elif isinstance(node, ast.While):
            exempt = True
        elif isinstance(node, ast.Call) and not exempt and _sleeps(node):
            found.append(place(path, node, ast.unparse(node)))
        for child in ast.iter_child_nodes(node):
            visit(child, exempt)

    visit(Module.read(path).tree, False)
    return found


def _sleeps(call: ast.Call) -> bool:
    constants = (node.value for node in ast.walk(call) if isinstance(node, ast.Constant))
    return _called(call) == "sleep" and any(constants)


def capitalized_errors(path: Path) -> Iterator[str]:
    """Yield each error whose text begins with a capital: it follows the name of a program.

    A text may begin with the name Nova.
    """
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.Call) or not node.args:
            continue
        text: ast.AST = node.args[0]
        if isinstance(text, ast.JoinedStr) and text.values:
            text = text.values[0]
        if not isinstance(text, ast.Constant) or not ast.unparse(node.func).endswith("Error"):
            continue
        if isinstance(text.value, str) and re.match(r"(?!Nova )[A-Z][a-z]+ ", text.value):
            yield f"{path.name}:{node.lineno}: {text.value}"


def skips(path: Path, allowed: Collection[str] = ()) -> list[str]:
    """Return the calls that skip tests, unless ``allowed`` has a pattern of a test in this file."""
    module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
    if any(pattern.startswith(f"{module}.") for pattern in allowed):
        return []
    calls = (node for node in ast.walk(Module.read(path).tree) if isinstance(node, ast.Call))
    return [place(path, call, _called(call)) for call in calls if _called(call) in _SKIPS]


class Elsewhere(NamedTuple):
    """Modules without a test of their name. ``tests`` is empty for those that need none."""

    pattern: str
    tests: tuple[Path, ...]
    reason: str

    @classmethod
    def parse(cls, line: str) -> Elsewhere:
        """Read a line; raises ValueError unless it has three fields."""
        pattern, tests, reason = (field.strip() for field in line.split("|"))
        paths = () if tests == "-" else tuple(ROOT / "tests" / test for test in tests.split())
        return cls(pattern, paths, reason)

    def covers(self, path: Path) -> bool:
        """Return whether the pattern matches the module."""
        return fnmatchcase(_module(path), self.pattern)

    def faults(self) -> list[str]:
        """Return the mistakes in this entry."""
        modules = [path for path in sources() if self.covers(path)]
        if not modules or not self.reason:
            return [f"{self.pattern}: {'no such module' if self.reason else 'no reason'}"]
        missing = [test for test in self.tests if not test.exists()]
        reached = {
            m.path for test in self.tests if test.exists() for m in Module.read(test).visible()
        }
        return [
            *(f"{self.pattern}: no {test.relative_to(ROOT)}" for test in missing),
            *(
                f"{_module(path)}: none of its tests imports it"
                for path in modules
                if self.tests and path not in reached and not _own_test(path).exists()
            ),
        ]


def elsewhere() -> list[Elsewhere]:
    """Read the list."""
    lines = TESTED_ELSEWHERE.read_text().splitlines()
    return [Elsewhere.parse(line) for line in lines if line.strip() and not line.startswith("#")]


def sources() -> list[Path]:
    """Return the modules of the package that need a test: an ``__init__`` has no code."""
    return [path for path in sorted(SOURCE.rglob("*.py")) if path.name != "__init__.py"]


def untested() -> list[str]:
    """Return the modules that have no test of their name and are not in the list."""
    known = elsewhere()
    return [
        _module(path)
        for path in sources()
        if not _own_test(path).exists() and not any(entry.covers(path) for entry in known)
    ]


def _module(path: Path) -> str:
    return str(path.relative_to(SOURCE).with_suffix(""))


def _own_test(path: Path) -> Path:
    relative = path.relative_to(SOURCE)
    return ROOT / "tests/unit" / relative.with_name(f"test_{relative.name}")


def _called(node: ast.Call) -> str:
    function = node.func
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""


def place(path: Path, node: ast.expr | ast.stmt, what: str) -> str:
    """Return where a node is, as "file:line what"."""
    return f"{path.relative_to(ROOT)}:{node.lineno} {what}"
