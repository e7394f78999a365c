"""What tests must be like, read from their source: each asserts, none waits by the clock."""

from __future__ import annotations

import ast
import dataclasses
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclasses.dataclass(frozen=True)
class Module:
    """A file of tests: its functions and methods by name, and the test modules it imports."""

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
                imports.update(filter(None, map(_file, names)))
            elif isinstance(node, ast.Import):
                imports.update(filter(None, (_file(alias.name) for alias in node.names)))
        return cls(path, tree, functions, frozenset(imports))

    def visible(self) -> Iterator[Module]:
        """This module and the test modules that it imports, directly or not."""
        seen, queue = {self.path}, [self.path]
        while queue:
            module = Module.read(queue.pop())
            yield module
            queue += [path for path in module.imports if path not in seen]
            seen |= module.imports


def _file(module: str) -> Path | None:
    if module.split(".", maxsplit=1)[0] != "tests":
        return None
    path = ROOT.joinpath(*module.split(".")).with_suffix(".py")
    return path if path.exists() else None


def without_assertion(path: Path) -> list[str]:
    """Return the test methods of a file that assert nothing, as "file:line name"."""
    module = Module.read(path)
    helpers: dict[str, list[Function]] = {}
    for seen in module.visible():
        for name, functions in seen.functions.items():
            helpers.setdefault(name, []).extend(functions)
    return [
        _place(path, function, name)
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


def sleeps(path: Path) -> list[str]:
    """Return the sleeps of a constant time that wait for nothing in particular.

    A sleep in a loop is left out: the loop looks for what it waits for, and has a limit. So is a
    sleep of 0, which lets other tasks of the event loop run.
    """
    found: list[str] = []

    def visit(node: ast.AST, in_loop: bool) -> None:
        if (
            not in_loop
            and isinstance(node, ast.Call)
            and _called(node) == "sleep"
            and any(isinstance(p, ast.Constant) and p.value for p in ast.walk(node))
        ):
            found.append(_place(path, node, ast.unparse(node)))
        in_loop = isinstance(node, ast.While) or (in_loop and not isinstance(node, Function))
        for child in ast.iter_child_nodes(node):
            visit(child, in_loop)

    visit(Module.read(path).tree, False)
    return found


def _called(node: ast.Call) -> str:
    function = node.func
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""


def _place(path: Path, node: ast.expr | Function, what: str) -> str:
    return f"{path.relative_to(ROOT)}:{node.lineno} {what}"
