"""The valid services files as they were parsed last, on disk: a later process need not parse them.

To parse and validate 20,000 services takes seconds, to read this file less than one. Only the agent
writes it. A file counts as parsed if its inode, size and times are still the same. A copy that is
damaged, or from a version with another schema, is not used.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from oslo_log import log

from nova_cachemig.agent.services import schema
from nova_cachemig.agent.services.atomic import ServicesError, write_lines
from nova_cachemig.model.service import Service

LOG = log.getLogger(__name__)

NAME: Final = "services.json"
"""The file in ``[agent] state_dir``."""

MAX_BYTES: Final = 64 << 20
_FORM: Final = hashlib.sha256(json.dumps([1, schema.SERVICE_SCHEMA]).encode()).hexdigest()


@dataclasses.dataclass(frozen=True, slots=True)
class Parsed:
    """The content of one file when it was read; ``stamp``: inode, size and times."""

    stamp: tuple[int, ...]
    size: int
    services: tuple[Service, ...]


def load(path: Path) -> dict[str, Parsed]:
    """Return the parsed files by name; empty if there are none that this version can use."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ValueError(f"larger than {MAX_BYTES} bytes")
        with path.open(encoding="utf-8") as file:
            if json.loads(next(file, '""')) != _FORM:
                return {}
            return dict(_read(file))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as exc:
        LOG.warning("%s cannot be used, so all services files are parsed: %s", path, exc)
        return {}


def _read(lines: Iterator[str]) -> Iterator[tuple[str, Parsed]]:
    for line in lines:
        name, stamp, size, number = json.loads(line)
        entries = [json.loads(next(lines, "")) for _ in range(number)]
        services = tuple(schema.restore(entry) for entry in entries)
        yield name, Parsed(tuple(stamp), size, services)


def save(path: Path, files: Mapping[str, Parsed]) -> None:
    """Replace the file. It is only a copy, so an error is logged."""
    try:
        write_lines(path, _lines(files))
    except ServicesError as exc:
        LOG.warning("the parsed services files were not saved: %s", exc)


def _lines(files: Mapping[str, Parsed]) -> Iterator[str]:
    yield _line(_FORM)
    for name, parsed in files.items():
        yield _line([name, parsed.stamp, parsed.size, len(parsed.services)])
        for service in parsed.services:
            yield _line(schema.to_entry(service))


def _line(value: Any) -> str:
    return json.dumps(value) + "\n"
