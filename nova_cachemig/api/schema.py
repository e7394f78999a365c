"""JSON schemas of requests and responses, and their checks. No I/O."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from typing import Any, Final

import jsonschema

from nova_cachemig.api.errors import ApiError
from nova_cachemig.model.naming import SERVICE_NAME

Schema = Mapping[str, Any]

# \Z, because $ allows a final newline.
UUID: Final[Schema] = {
    "type": "string",
    "pattern": r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z",
}
NAME: Final[Schema] = {"type": "string", "pattern": rf"^{SERVICE_NAME}\Z"}
TIME: Final[Schema] = {"type": "string", "format": "date-time"}
BOOLEAN_TEXT: Final[Schema] = {"type": "string", "enum": ["true", "false"]}


def nullable(schema: Schema) -> Schema:
    """Return the schema that also accepts null."""
    return {"anyOf": [schema, {"type": "null"}]}


LINKS: Final[Schema] = {
    "type": "array",
    "items": {
        "type": "object",
        "additionalProperties": False,
        "required": ["rel", "href"],
        "properties": {"rel": {"enum": ["self", "next"]}, "href": {"type": "string"}},
    },
}

_LIST_QUERY: Final[Schema] = {
    "limit": {
        "type": "string",
        "pattern": r"^[1-9][0-9]{0,8}\Z",
        "description": "Items in the page, at most [api] max_limit.",
    },
    "marker": {
        "type": "string",
        "minLength": 1,
        "maxLength": 600,
        "description": "The id of the last item of the previous page.",
    },
    "all_projects": {**BOOLEAN_TEXT, "description": "true: list what belongs to all projects."},
}


def record(properties: Schema, *, optional: tuple[str, ...] = ()) -> Schema:
    """Return the schema of an object with these properties only; those not optional are there."""
    return {
        "type": "object",
        "additionalProperties": False,
        "required": [name for name in properties if name not in optional],
        "properties": dict(properties),
    }


def list_query(filters: Schema) -> Schema:
    """Return the schema of a list's query with these filters."""
    properties = {**_LIST_QUERY, **filters}
    return record(properties, optional=tuple(properties))


NO_QUERY: Final = record({})


def page(noun: str, item: Schema) -> Schema:
    """Return the schema of one page of a list."""
    properties = {noun: {"type": "array", "items": item}, f"{noun}_links": LINKS}
    return record(properties, optional=(f"{noun}_links",))


def check(schema: Schema, value: object, what: str) -> None:
    """Raise ApiError (400) unless the value is valid. ``what`` names it: the query or the body."""
    error = next(_validator(json.dumps(schema)).iter_errors(value), None)
    if error is not None:
        raise ApiError(400, _sentence(error, what))


def faults(schema: Schema, value: object) -> list[str]:
    """Return what is wrong with a response."""
    return [_sentence(e, "response") for e in _validator(json.dumps(schema)).iter_errors(value)]


@functools.lru_cache(maxsize=64)
def _validator(text: str) -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(json.loads(text))


def _sentence(error: jsonschema.ValidationError, what: str) -> str:
    where = ".".join(str(part) for part in error.absolute_path)
    place = f"{what}: {where}" if where else what
    return f"{place:.200}: {error.message:.300}"
