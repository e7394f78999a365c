"""Requests from the declared schemas, and others: the API responds with a declared status."""

from __future__ import annotations

import json
import urllib.parse
from collections.abc import Mapping
from typing import Any

import jsonschema
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nova_cachemig.api.call import Call
from nova_cachemig.api.calls import CALLS
from nova_cachemig.api.errors import ERRORS_SCHEMA
from tests.unit.api.case import BLUE_VM, RED_VM, ROLES, ApiCase

_KNOWN = ("shop", "news", RED_VM, BLUE_VM, "req-red", "req-blue", "1", "2", "3", "9", "0")
_PERSONAS = st.sampled_from([*ROLES, "system"])
_SEGMENT = st.sampled_from(_KNOWN) | st.text(min_size=1, max_size=80)
_JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=5,
)
_SETTINGS = settings(
    max_examples=200, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True
)


def from_schema(schema: Mapping[str, Any]) -> st.SearchStrategy[Any]:
    """Values that a schema of requests accepts, and some that it does not."""
    if schema.get("type") == "object":
        required = schema.get("required", ())
        fields = {name: from_schema(field) for name, field in schema["properties"].items()}
        optional = {name: fields.pop(name) for name in list(fields) if name not in required}
        return st.fixed_dictionaries(fields, optional=optional)
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    known = st.sampled_from([*_KNOWN, "shop/1", f"{RED_VM}/req-red"])
    if "pattern" in schema:
        return st.from_regex(schema["pattern"]) | known
    return st.text(max_size=schema.get("maxLength", 50)) | known


def _path(draw: st.DrawFn, call: Call) -> str:
    parts = [
        urllib.parse.quote(draw(_SEGMENT).encode("utf-8", "replace"), safe="")
        if part.startswith("{")
        else part
        for part in call.path.split("/")
    ]
    return "/".join(parts)


@st.composite
def requests(draw: st.DrawFn) -> tuple[Call, str, str, Any]:
    """A call, a persona, a path with its query, and a body."""
    call = draw(st.sampled_from(CALLS))
    query = draw(
        from_schema(dict(call.query))
        | st.dictionaries(st.text(max_size=12), st.text(max_size=40), max_size=3)
    )
    text = "&".join(
        f"{urllib.parse.quote(str(name).encode('utf-8', 'replace'))}"
        f"={urllib.parse.quote(str(value).encode('utf-8', 'replace'))}"
        for name, value in query.items()
    )
    body = None
    if call.body is not None:
        body = draw(from_schema(dict(call.body)) | _JSON | st.binary(max_size=50))
    return call, draw(_PERSONAS), f"{_path(draw, call)}?{text}", body


class FuzzTest(ApiCase):
    @_SETTINGS
    @given(requests())
    def test_requests_of_the_schemas(self, made: tuple[Call, str, str, Any]) -> None:
        call, persona, path, body = made
        response = self.ask(path, persona, call.method, body)
        status = response.status_int
        # An empty argument makes another path, for which the method may not exist.
        self.assertIn(status, {call.status, *call.errors, 404, 405}, path)
        if status >= 400:
            jsonschema.validate(response.json, ERRORS_SCHEMA)
        elif call.response is not None:
            jsonschema.validate(response.json, call.response)
        else:
            self.assertEqual(b"", response.body)

    @_SETTINGS
    @given(
        st.sampled_from(["GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH"]),
        st.text(max_size=60),
        st.binary(max_size=60),
        st.sampled_from(["cachemig 1.0", "cachemig 1.x", "cachemig latest", "\xff", ""]),
    )
    def test_anything_else(self, method: str, path: str, body: bytes, version: str) -> None:
        quoted = urllib.parse.quote(path.encode("utf-8", "replace"), safe="/%?&=")
        response = self.ask(f"/v1/{quoted}", "admin", method, body, OpenStack_API_Version=version)
        self.assertLess(response.status_int, 500)
        if response.status_int >= 400 and method != "HEAD":
            self.assertIn("errors", json.loads(response.body))
