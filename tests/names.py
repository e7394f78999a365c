"""Checks that names exist which a test imports or patches.

The unit tests run this for the functional tests too: without it, only a run of the functional tests
would find a name that a rename has missed.
"""

from __future__ import annotations

import ast
import functools
import pkgutil
from collections.abc import Iterator
from pathlib import Path

from tests import conventions

_OWN_PACKAGES = (conventions.SOURCE.name, "tests", "tools", "benchmarks")
_PATCHES = ("patch", "object", "multiple")


def unknown_imports(path: Path) -> list[str]:
    """Return the names that a file imports although they do not exist, as "file:line name".

    It reads the other file and does not import it. Only imports from the package and from the tests
    are checked.
    """
    return [
        conventions.place(path, node, f"{node.module}.{alias.name}")
        for node in ast.walk(conventions.Module.read(path).tree)
        if isinstance(node, ast.ImportFrom) and node.module
        if (file := conventions.file_of(node.module)) is not None
        for alias in node.names
        if alias.name not in _bound(file)
        if conventions.file_of(f"{node.module}.{alias.name}") is None
    ]


@functools.cache
def _bound(file: Path) -> frozenset[str]:
    """Return the names that a file binds, at the top or below it."""
    found: set[str] = set()
    for node in ast.walk(conventions.Module.read(file).tree):
        if isinstance(node, conventions.Function | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            found |= {alias.asname or alias.name for alias in node.names}
    return frozenset(found)


def unknown_patches(path: Path) -> list[str]:
    """Return the names that a file patches although they do not exist, as "file:line name".

    It imports the patched modules. Only names in modules and classes of this project that the file
    imports are checked, for ``mock.patch``, ``patch.object`` and ``patch.multiple``.
    """
    tree = conventions.Module.read(path).tree
    imported = _imported(tree)
    found: list[str] = []

    def visit(node: ast.AST, local: frozenset[str]) -> None:
        if isinstance(node, conventions.Function):
            local |= _local_names(node)
        elif isinstance(node, ast.Call):
            for target, name in _patched(node):
                first, _, rest = target.partition(".")
                origin = None if first in local else imported.get(first)
                if origin and not _exists(origin, f"{rest}.{name}".lstrip(".")):
                    found.append(conventions.place(path, node, f"{target}.{name}"))
        for child in ast.iter_child_nodes(node):
            visit(child, local)

    visit(tree, frozenset())
    return found


def _imported(tree: ast.Module) -> dict[str, str]:
    """Return what the imports bind: name → dotted origin, in this project only."""
    origins = {name: name for name in _OWN_PACKAGES}  # as mock.patch("package.module.name") uses
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            origins |= {alias.asname: alias.name for alias in node.names if alias.asname}
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                origins[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    return {
        name: origin
        for name, origin in origins.items()
        if origin.partition(".")[0] in _OWN_PACKAGES
    }


def _local_names(function: conventions.Function) -> frozenset[str]:
    nodes = list(ast.walk(function))
    stored = {n.id for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    return frozenset(stored | {node.arg for node in nodes if isinstance(node, ast.arg)})


def _patched(call: ast.Call) -> Iterator[tuple[str, str]]:
    """Yield the target and the name, both as written, of each constant name that is patched."""
    function = ast.unparse(call.func).removeprefix("mock.").removeprefix("patch.")
    texts = [arg.value if isinstance(arg, ast.Constant) else "" for arg in call.args]
    if function not in _PATCHES or not call.args:
        return
    if function == "multiple":
        yield from ((ast.unparse(call.args[0]), k.arg) for k in call.keywords if k.arg)
    elif function == "object" and texts[1]:
        yield ast.unparse(call.args[0]), texts[1]
    elif function == "patch" and "." in texts[0]:
        target, _, name = texts[0].rpartition(".")
        yield target, name


def _exists(origin: str, attributes: str) -> bool:
    """Return whether ``origin``, a module or its member, has this attribute of attributes."""
    try:
        pkgutil.resolve_name(f"{origin}.{attributes}")
    except (ImportError, AttributeError):
        return False
    return True
