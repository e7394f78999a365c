"""Which members of the agent's ports the production code uses, from its syntax alone.

Types are followed as far as annotations lead: parameters, attributes that ``__init__`` sets from
parameters, fields of dataclasses, local names, and results of a port's own methods.
"""

from __future__ import annotations

import ast
import dataclasses
from collections.abc import Iterator
from pathlib import Path

import nova_cachemig

PACKAGE = Path(nova_cachemig.__file__).parent
PORTS = PACKAGE / "agent" / "ports.py"
_NOT_USERS = {PORTS, PACKAGE / "agent" / "noop.py"}

Types = dict[str, str]
"""Name of a variable or an attribute → name of its class."""


@dataclasses.dataclass(slots=True)
class Port:
    """Its own members, the classes that its methods return, and the ports that it extends."""

    members: dict[str, str | None]
    bases: list[str]


def ports() -> dict[str, Port]:
    """Return every Protocol of ``agent/ports.py`` by its name."""
    found: dict[str, Port] = {}
    for node in ast.parse(PORTS.read_text()).body:
        if isinstance(node, ast.ClassDef) and "Protocol" in map(_name, node.bases):
            members: dict[str, str | None] = {}
            for item in node.body:
                if isinstance(item, ast.FunctionDef | ast.AsyncFunctionDef):
                    members[item.name] = _name(item.returns)
                elif isinstance(item, ast.AnnAssign):
                    members[_name(item.target) or ""] = _name(item.annotation)
            bases = [name for name in map(_name, node.bases) if name and name != "Protocol"]
            found[node.name] = Port(members, bases)
    return found


def usage() -> tuple[set[str], set[str]]:
    """Return the ``Port.member`` that production code uses, and those that no port declares."""
    reader = _Reader(ports())
    trees = [ast.parse(path.read_text()) for path in _sources()]
    for tree in trees:
        reader.learn(tree)
    for tree in trees:
        reader.read(tree)
    return reader.used, reader.undeclared


def _sources() -> Iterator[Path]:
    return (path for path in sorted(PACKAGE.rglob("*.py")) if path not in _NOT_USERS)


def _name(node: ast.AST | None) -> str | None:
    """Return the name in an annotation: ``Engine`` for ``ports.Engine | None``."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        owner = _name(node.value)
        return node.attr if owner == "ports" else f"{owner}.{node.attr}"
    if isinstance(node, ast.BinOp):
        return _name(node.left)
    return None


def _parameters(function: ast.FunctionDef | ast.AsyncFunctionDef) -> Types:
    given = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
    return {arg.arg: name for arg in given if (name := _name(arg.annotation))}


def _functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


class _Reader:
    def __init__(self, declared: dict[str, Port]) -> None:
        self._ports = declared
        self._fields: dict[str, Types] = {}  # class → its attributes
        self.used: set[str] = set()
        self.undeclared: set[str] = set()

    def learn(self, tree: ast.Module) -> None:
        """Record the attributes of each class."""
        for cls in (node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)):
            fields = self._fields.setdefault(cls.name, {})
            for item in cls.body:
                if isinstance(item, ast.AnnAssign) and (name := _name(item.annotation)):
                    fields[_name(item.target) or ""] = name
            for function in _functions(cls):
                given = _parameters(function)
                for node in ast.walk(function):
                    self._learn_assignment(node, given, fields)

    @staticmethod
    def _learn_assignment(node: ast.AST, given: Types, fields: Types) -> None:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Attribute):
            if name := _name(node.annotation):
                fields[node.target.attr] = name
        elif isinstance(node, ast.Assign):
            for target, value in _pairs(node):
                if not isinstance(target, ast.Attribute):
                    continue
                if isinstance(value, ast.Name) and value.id in given:
                    fields[target.attr] = given[value.id]
                elif isinstance(value, ast.Call) and (name := _name(value.func)):
                    fields.setdefault(target.attr, name)  # an instance, if it is a class's name

    def read(self, tree: ast.Module) -> None:
        """Record the members of ports that the module uses."""
        for node in tree.body:
            if isinstance(node, ast.ClassDef):
                for function in _functions(node):
                    self._read_function(function, node.name)
            elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                self._read_function(node, None)

    def _read_function(
        self, function: ast.FunctionDef | ast.AsyncFunctionDef, cls: str | None
    ) -> None:
        local = _parameters(function) | ({"self": cls} if cls else {})
        for node in ast.walk(function):
            if isinstance(node, ast.Assign):
                for target, value in _pairs(node):
                    kind = self._type(value, local)
                    if isinstance(target, ast.Name) and kind:
                        local[target.id] = kind
        for node in ast.walk(function):
            if isinstance(node, ast.Attribute) and (kind := self._type(node.value, local)):
                self._use(kind, node.attr)

    def _type(self, node: ast.expr, local: Types) -> str | None:
        if isinstance(node, ast.Name):
            return local.get(node.id)
        if isinstance(node, ast.Attribute):
            owner = self._type(node.value, local)
            return self._fields.get(owner or "", {}).get(node.attr)
        if isinstance(node, ast.Await):
            return self._type(node.value, local)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            owner = self._type(node.func.value, local)
            where = self._declares(owner or "", node.func.attr)
            return self._ports[where].members[node.func.attr] if where else None
        return None

    def _declares(self, port: str, member: str) -> str | None:
        if port not in self._ports:
            return None
        if member in self._ports[port].members:
            return port
        found = (self._declares(base, member) for base in self._ports[port].bases)
        return next((name for name in found if name), None)

    def _use(self, kind: str, member: str) -> None:
        if kind in self._ports:
            where = self._declares(kind, member)
            if where is None:
                self.undeclared.add(f"{kind}.{member}")
            else:
                self.used.add(f"{where}.{member}")


def _pairs(node: ast.Assign) -> Iterator[tuple[ast.expr, ast.expr]]:
    for target in node.targets:
        if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
            yield from zip(target.elts, node.value.elts, strict=False)
        else:
            yield target, node.value
