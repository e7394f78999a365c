"""The services directory: read completely, written one file at a time, atomically."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path
from typing import Any

import yaml

from nova_cachemig.agent.ports import ComponentError
from nova_cachemig.agent.services import schema
from nova_cachemig.model.service import Service

SUFFIXES = (".yaml", ".yml")
MAX_BYTES = 8 << 20
"""Limit of one file's size. 20,000 services take about 4 MiB."""

Fingerprint = tuple[tuple[str, int, int], ...]
"""Name, modification time (ns) and size (bytes) of each file."""


class ServicesError(ComponentError):
    """The files are not valid; ``errors`` has one sentence for each mistake."""

    def __init__(self, errors: list[str]) -> None:
        super().__init__("; ".join(errors[:5]) + ("; …" if len(errors) > 5 else ""))
        self.errors = errors


class _Loader(yaml.SafeLoader):
    """Safe YAML without duplicate keys and aliases: a few aliases can expand to gigabytes."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise yaml.YAMLError(f"line {mark.line + 1}: aliases are not allowed")
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        keys = [key.value for key, _ in node.value]
        for key in keys:
            if keys.count(key) > 1:
                raise yaml.YAMLError(f"line {node.start_mark.line + 1}: key {key!r} appears twice")
        return super().construct_mapping(node, deep=deep)


def fingerprint(directory: Path) -> Fingerprint:
    """Return a value that changes when a file changes. Raises ServicesError."""
    found: list[tuple[str, int, int]] = []
    for path in _paths(directory):
        with contextlib.suppress(FileNotFoundError):
            status = path.stat()
            found.append((path.name, status.st_mtime_ns, status.st_size))
    return tuple(found)


def read(directory: Path) -> list[Service]:
    """Return all services, or raise ServicesError with every mistake in every file.

    A directory that does not exist has no services.
    """
    services, errors = _read(directory)
    if errors:
        raise ServicesError(errors)
    return [service for _, service in services]


def check(directory: Path) -> tuple[list[Service], dict[str, list[str]]]:
    """Return the services of the valid files, and the mistakes by file.

    Mistakes that several files make together are those of the directory. Raises ServicesError if
    the directory cannot be read.
    """
    services: list[tuple[str, Service]] = []
    mistakes: dict[str, list[str]] = {}
    for path in _paths(directory):
        found, errors = _read_one(path)
        services += [(str(path), service) for service in found]
        if errors:
            mistakes[str(path)] = errors
    if conflicts := schema.conflicts(services):
        mistakes[str(directory)] = conflicts
    return [service for _, service in services], mistakes


def read_valid(directory: Path) -> list[Service]:
    """Return the services of the valid files; none if they contradict each other.

    Which of two services may have a front address is for the operator to say. Raises ServicesError
    if the directory cannot be read.
    """
    services, mistakes = check(directory)
    return [] if str(directory) in mistakes else services


def add(directory: Path, service: Service) -> Path:
    """Write ``NAME.yaml`` if all services together stay valid; create the directory if needed.

    Raises ServicesError otherwise, and writes nothing.
    """
    services, errors = _read(directory)
    path = directory / f"{service.name}.yaml"
    errors += schema.conflicts([*services, (str(path), service)])
    if not errors and path.exists():
        errors = [f"{path} exists already: remove the service first"]
    if errors:
        raise ServicesError(errors)
    _write(path, {"services": [schema.to_entry(service)]})
    return path


def remove(directory: Path, name: str) -> Path:
    """Remove the service from its file, or a file without other services. Raises ServicesError."""
    services, errors = _read(directory)
    if errors:
        raise ServicesError(errors)
    paths = {service.name: Path(where) for where, service in services}
    if name not in paths:
        known = ", ".join(sorted(paths)) or "none"
        raise ServicesError([f"no service is named {name}; the services: {known}"])
    path = paths[name]
    others = [s for where, s in services if Path(where) == path and s.name != name]
    if others:
        _write(path, {"services": [schema.to_entry(service) for service in others]})
    else:
        path.unlink()
        _sync(path.parent)
    return path


def _paths(directory: Path) -> list[Path]:
    try:
        return sorted(p for p in directory.iterdir() if p.suffix in SUFFIXES)
    except FileNotFoundError:
        return []
    except OSError as exc:
        raise ServicesError([f"{directory} cannot be read: {exc.strerror}"]) from exc


def _read(directory: Path) -> tuple[list[tuple[str, Service]], list[str]]:
    services: list[tuple[str, Service]] = []
    errors: list[str] = []
    for path in _paths(directory):
        found, mistakes = _read_one(path)
        services += [(str(path), service) for service in found]
        errors += mistakes
    return services, errors or schema.conflicts(services)


def _explain(exc: Exception) -> str:
    """Return the place and the problem of a parser's error in one line."""
    if isinstance(exc, yaml.MarkedYAMLError) and exc.problem_mark is not None:
        mark = exc.problem_mark
        return f"line {mark.line + 1}, column {mark.column + 1}: {exc.problem}"
    return " ".join(str(exc).split())[:300]


def _read_one(path: Path) -> tuple[list[Service], list[str]]:
    try:
        if path.stat().st_size > MAX_BYTES:
            return [], [f"{path}: larger than {MAX_BYTES} bytes"]
        document = yaml.load(path.read_text("utf-8"), _Loader)
    except OSError as exc:
        return [], [f"{path} cannot be read: {exc.strerror}"]
    except (yaml.YAMLError, UnicodeDecodeError, ValueError, RecursionError) as exc:
        return [], [f"{path}: not YAML: {_explain(exc)}"]
    if document is None:
        return [], []
    return schema.parse(document, str(path))


def _write(path: Path, document: dict[str, Any]) -> None:
    # The operator writes it, the agent's account reads it. It holds no secret.
    write_text(path, yaml.safe_dump(document, sort_keys=False), mode=0o644)


def write_text(path: Path, text: str, *, mode: int = 0o640) -> None:
    """Replace the file atomically and durably; raises ServicesError."""
    try:
        if not path.parent.exists():
            path.parent.mkdir()
            path.parent.chmod(0o755)
        with tempfile.NamedTemporaryFile(
            "w", dir=path.parent, prefix=f".{path.name}.", delete=False, encoding="utf-8"
        ) as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(file.name).chmod(mode)
        Path(file.name).rename(path)
        _sync(path.parent)
    except OSError as exc:
        raise ServicesError([f"{path} cannot be written: {exc.strerror}"]) from exc


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
