"""The services directory: read completely, written one file at a time, atomically."""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path
from typing import Any

import yaml

from nova_cachemig.agent.services import schema, stored
from nova_cachemig.agent.services.atomic import ServicesError, sync, write_text
from nova_cachemig.agent.services.stored import Parsed
from nova_cachemig.model.service import Service

SUFFIXES = (".yaml", ".yml")
MAX_BYTES = 8 << 20
"""Limit of one file's size. 20,000 services take about 4 MiB."""
MAX_TOTAL = 2 * MAX_BYTES
"""Limit of the size of all files together."""
MAX_FILES = 20_000
_UNSAVED = 100
"""Services that a later process may have to parse because their files are not in the saved copy."""
MAX_VALUES = 1_000_000
"""Limit of the values in one file: the parser takes about 400 bytes and 10 us for each."""

# In YAML, each value but the first follows one of these.
_MARKS = (",", ":", "\n", "[", "{", "- ", "? ")
# libyaml parses 20,000 services in 2 s, Python in 40 s, during which it disturbs the event loop.
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_KINDS = (
    (stat.S_ISDIR, "a directory"),
    (stat.S_ISFIFO, "a FIFO"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)

Fingerprint = tuple[tuple[str, int, int, int], ...]
"""Name, inode, modification time (ns) and size (bytes) of each file."""


class Cache:
    """The valid files of one directory as they were read last: an unchanged one is not parsed.

    ``parsed`` counts the files that were parsed since the cache was made.
    """

    def __init__(self, path: Path | None = None) -> None:
        """``path``: of the copy on disk, see :mod:`stored`; None: none."""
        self._path = path
        self._files: dict[str, Parsed] | None = {} if path is None else None
        self._unsaved = 0  # services that were parsed, or are gone, since the last save
        self.parsed = 0

    def files(self) -> dict[str, Parsed]:
        """Return the files as they were read last, or saved by an earlier process."""
        if self._files is None:
            assert self._path is not None, "otherwise there are files"
            self._files = stored.load(self._path)
        return self._files

    def replace(self, files: dict[str, Parsed]) -> None:
        """The directory has been read."""
        before = self.files()
        changed = [one for name, one in files.items() if before.get(name) is not one]
        gone = [one for name, one in before.items() if name not in files]
        self._unsaved += sum(len(one.services) for one in (*changed, *gone))
        self._files = files

    def save(self) -> None:
        """Save the copy if a later process would have to parse many files without it."""
        total = sum(len(one.services) for one in self.files().values())
        if self._path is not None and self._unsaved > max(_UNSAVED, total // 100):
            stored.save(self._path, self.files())
            self._unsaved = 0


def _parse(text: str) -> Any:
    """Return a YAML document without duplicate keys and aliases. Raises YAMLError.

    A few aliases can expand to gigabytes.
    """
    if sum(text.count(mark) for mark in _MARKS) > MAX_VALUES:
        raise yaml.YAMLError(f"more than {MAX_VALUES:,} values")
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        _check_nodes(node)
        return loader.construct_document(node)
    finally:
        loader.dispose()


def _check_nodes(root: yaml.Node) -> None:
    seen: set[int] = set()
    left = [root]
    while left:
        node = left.pop()
        if id(node) in seen:
            line = node.start_mark.line + 1
            raise yaml.YAMLError(f"line {line}: aliases are not allowed, and one refers to this")
        seen.add(id(node))
        if isinstance(node, yaml.SequenceNode):
            left += node.value
        elif isinstance(node, yaml.MappingNode):
            left += [part for pair in node.value for part in pair]
            _check_keys(node)


def _check_keys(node: yaml.MappingNode) -> None:
    keys: set[str] = set()
    for key, _ in node.value:
        if isinstance(key, yaml.ScalarNode):
            if key.value in keys:
                line = key.start_mark.line + 1
                raise yaml.YAMLError(f"line {line}: key {key.value!r:.100} appears twice")
            keys.add(key.value)


def fingerprint(directory: Path) -> Fingerprint:
    """Return a value that changes when a file changes. Raises ServicesError."""
    found: list[tuple[str, int, int, int]] = []
    for path in _paths(directory):
        with contextlib.suppress(OSError):  # reading it reports that
            status = path.stat()
            found.append((path.name, status.st_ino, status.st_mtime_ns, status.st_size))
    return tuple(found)


def read(directory: Path, cache: Cache | None = None) -> list[Service]:
    """Return all services, or raise ServicesError with every mistake in every file.

    A directory that does not exist has no services.
    """
    services, errors = _read(directory, cache)
    if errors:
        raise ServicesError(errors)
    return [service for _, service in services]


def check(
    directory: Path, cache: Cache | None = None
) -> tuple[list[Service], dict[str, list[str]]]:
    """Return the services of the valid files, and the mistakes by file.

    Mistakes that several files make together are those of the directory. Raises ServicesError if
    the directory cannot be read.
    """
    services, mistakes = _read_all(directory, cache)
    if conflicts := schema.conflicts(services):
        mistakes[str(directory)] = conflicts
    return [service for _, service in services], mistakes


def read_valid(directory: Path, cache: Cache | None = None) -> list[Service]:
    """Return the services of the valid files; none if they contradict each other.

    Which of two services may have a front address is for the operator to say. Raises ServicesError
    if the directory cannot be read.
    """
    services, mistakes = check(directory, cache)
    return [] if str(directory) in mistakes else services


def add(directory: Path, service: Service, cache: Cache | None = None) -> Path:
    """Write ``NAME.yaml`` if all services together stay valid; create the directory if needed.

    Raises ServicesError otherwise, and writes nothing.
    """
    services, errors = _read(directory, cache)
    path = directory / f"{service.name}.yaml"
    errors += schema.conflicts([*services, (str(path), service)])
    if not errors and path.exists():
        errors = [f"{path} exists already: remove the service first"]
    if errors:
        raise ServicesError(errors)
    _write(path, {"services": [schema.to_entry(service)]})
    return path


def remove(directory: Path, name: str, cache: Cache | None = None) -> Path:
    """Remove the service from its file, or a file without other services. Raises ServicesError."""
    services, errors = _read(directory, cache)
    if errors:
        raise ServicesError(errors)
    paths = {service.name: Path(where) for where, service in services}
    if name not in paths:
        known = ", ".join(sorted(paths)) or "none"
        raise ServicesError([f"no service is named {name}; the services: {known}"])
    path = paths[name]
    present, errors = _read_one(path, _read_text(path))  # the cache must not decide what is written
    if errors:
        raise ServicesError(errors)
    others = [service for service in present if service.name != name]
    if others:
        _write(path, {"services": [schema.to_entry(service) for service in others]})
    else:
        path.unlink()
        sync(path.parent)
    return path


def _paths(directory: Path) -> list[Path]:
    try:
        paths = sorted(p for p in directory.iterdir() if p.suffix in SUFFIXES)
    except FileNotFoundError:
        return []
    except OSError as exc:
        raise ServicesError([f"{directory} cannot be read: {exc.strerror}"]) from exc
    if len(paths) > MAX_FILES:
        raise ServicesError([f"{directory}: {len(paths):,} files, more than {MAX_FILES:,}"])
    return paths


def _read(
    directory: Path, cache: Cache | None = None
) -> tuple[list[tuple[str, Service]], list[str]]:
    services, mistakes = _read_all(directory, cache)
    errors = [error for found in mistakes.values() for error in found]
    return services, errors or schema.conflicts(services)


def _read_all(
    directory: Path, cache: Cache | None = None
) -> tuple[list[tuple[str, Service]], dict[str, list[str]]]:
    """Return each service with its file, and the mistakes by file."""
    before = {} if cache is None else cache.files()
    kept: dict[str, Parsed] = {}
    services: list[tuple[str, Service]] = []
    mistakes: dict[str, list[str]] = {}
    left = MAX_TOTAL
    for path in _paths(directory):
        stamp, parsed = _stamp(path), before.get(path.name)
        text = b""
        if parsed is None or parsed.stamp != stamp:
            parsed = None
            try:
                text = _read_text(path)
            except ServicesError as exc:
                mistakes[str(path)] = exc.errors
                continue
        left -= parsed.size if parsed is not None else len(text)
        if left < 0:
            mistakes[str(path)] = [f"{path}: the files have more than {MAX_TOTAL} bytes together"]
            break
        if parsed is None:
            found, errors = _read_one(path, text)
            parsed = Parsed(stamp, len(text), tuple(found))
            if cache is not None:
                cache.parsed += 1
            if errors:
                mistakes[str(path)] = errors
        if str(path) not in mistakes:
            kept[path.name] = parsed
        services += [(str(path), service) for service in parsed.services]
    if cache is not None:
        cache.replace(kept)
    return services, mistakes


def _stamp(path: Path) -> tuple[int, ...]:
    """Return what a change of the file changes; :func:`write_text` makes another inode."""
    try:
        status = path.stat()
    except OSError:  # reading it reports that
        return ()
    return status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _read_text(path: Path) -> bytes:
    """Return the content of a regular file. Others could block, or never end."""
    try:
        # Look before opening: opening a device can have an effect.
        kind = next((name for test, name in _KINDS if test(path.stat().st_mode)), None)
        if kind is not None:
            raise ServicesError([f"{path} is {kind}, not a file"])
        # Without a wait, if it has just been replaced by a FIFO.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            text = file.read(MAX_BYTES + 1)
    except OSError as exc:
        raise ServicesError([f"{path} cannot be read: {exc.strerror}"]) from exc
    if len(text) > MAX_BYTES:
        raise ServicesError([f"{path}: larger than {MAX_BYTES} bytes"])
    return text


def _explain(exc: Exception) -> str:
    """Return the place and the problem of a parser's error in one line."""
    if isinstance(exc, yaml.MarkedYAMLError) and exc.problem_mark is not None:
        mark = exc.problem_mark
        return f"line {mark.line + 1}, column {mark.column + 1}: {exc.problem}"
    return " ".join(str(exc).split())[:300]


def _read_one(path: Path, text: bytes) -> tuple[list[Service], list[str]]:
    try:
        document = _parse(text.decode())
    except (yaml.YAMLError, UnicodeDecodeError, ValueError, RecursionError) as exc:
        return [], [f"{path}: not YAML: {_explain(exc)}"]
    if document is None:
        return [], []
    return schema.parse(document, str(path))


def _write(path: Path, document: dict[str, Any]) -> None:
    # The operator writes it, the agent's account reads it. It holds no secret.
    write_text(path, yaml.safe_dump(document, sort_keys=False), mode=0o644)
