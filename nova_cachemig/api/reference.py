"""The API reference, from the declared calls: reStructuredText. No I/O."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from nova_cachemig.api.call import Call
from nova_cachemig.api.errors import TITLES
from nova_cachemig.api.versions import HISTORY, MAX

_BOUNDS = {
    "maxLength": "at most {} characters",
    "minimum": "at least {}",
    "maximum": "at most {}",
}


def text(calls: Iterable[Call]) -> str:
    """Return the sections of all calls, and the history of microversions."""
    lines: list[str] = []
    for call in calls:
        lines += _section(call)
    lines += [*_title("Microversions"), f"The latest microversion is {MAX}.", ""]
    for version, changes in HISTORY.items():
        lines += [version, f"   {changes}", ""]
    return "\n".join(lines)


def _title(words: str) -> list[str]:
    return [words, "-" * len(words), ""]


def _section(call: Call) -> Iterator[str]:
    yield from _title(f"{call.method} {call.path}")
    yield from (call.summary, "")
    yield from (f"Since microversion {call.since}. Status: {call.status}. Errors:", "")
    yield from (f"* {status} {TITLES[status]}" for status in call.errors)
    yield from ("", "Policies:", "")
    yield from (f"* ``{rule}``" for rule in call.rules)
    yield ""
    for title, schema in (
        ("Query", call.query),
        ("Request", call.body),
        ("Response", call.response),
    ):
        if schema is not None and schema.get("properties"):
            yield from _table(title, schema)


def _table(title: str, schema: Mapping[str, Any]) -> Iterator[str]:
    yield from (f".. list-table:: {title}", "   :header-rows: 1", "   :widths: 30 20 50", "")
    yield from ("   * - Name", "     - Type", "     - Meaning")
    for name, kind, meaning in _rows("", schema):
        yield from (f"   * - ``{name}``", f"     - {kind}", f"     - {meaning}")
    yield ""


def _rows(prefix: str, schema: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    required = schema.get("required", ())
    for name, field in schema["properties"].items():
        kind = _kind(field) if name in required else f"{_kind(field)}, optional"
        yield prefix + name, kind, _meaning(field)
        inner = field.get("items", field)
        if inner.get("properties"):
            dots = f"{prefix}{name}[]." if "items" in field else f"{prefix}{name}."
            yield from _rows(dots, inner)


def _kind(field: Mapping[str, Any]) -> str:
    if "anyOf" in field:
        return " or ".join(_kind(one) for one in field["anyOf"])
    if "enum" in field:
        return "text" if all(isinstance(one, str) for one in field["enum"]) else "text or null"
    names = {"string": "text", "array": "list", "object": "object"}
    return names.get(field["type"], field["type"])


def _meaning(field: Mapping[str, Any]) -> str:
    parts = [field["description"]] if "description" in field else []
    if "enum" in field:
        values = [f"``{one}``" for one in field["enum"] if one is not None]
        parts.append(f"One of {', '.join(values)}.")
    for bound, words in _BOUNDS.items():
        if bound in field:
            parts.append(f"{words.format(field[bound]).capitalize()}.")
    if any(one.get("format") == "date-time" for one in (field, *field.get("anyOf", ()))):
        parts.append("Date and time in UTC, ISO 8601.")
    return " ".join(parts)
