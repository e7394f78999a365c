"""Errors of the API, in the form of the API working group's guideline. No I/O."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

TITLES: Final[Mapping[int, str]] = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    406: "Not Acceptable",
    409: "Conflict",
    413: "Content Too Large",
    415: "Unsupported Media Type",
    500: "Internal Server Error",
    503: "Service Unavailable",
}

_CODES: Final[Mapping[int, str]] = {
    400: "invalid",
    401: "unauthorized",
    403: "forbidden",
    404: "not-found",
    405: "method-not-allowed",
    406: "microversion-unsupported",
    409: "conflict",
    413: "too-large",
    415: "unsupported-media-type",
    500: "internal",
    503: "unavailable",
}

ERRORS_SCHEMA: Final[Mapping[str, Any]] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["errors"],
    "properties": {
        "errors": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "required": ["status", "code", "title", "detail", "request_id"],
                "properties": {
                    "status": {"type": "integer"},
                    "code": {"type": "string", "pattern": r"^cachemig\.[a-z.-]+\Z"},
                    "title": {"type": "string"},
                    "detail": {"type": "string"},
                    "request_id": {"type": "string"},
                    "min_version": {"type": "string"},
                    "max_version": {"type": "string"},
                },
            },
        }
    },
}


class ApiError(Exception):
    """A request that the API refuses. ``detail`` is a sentence for the client.

    ``headers`` go into the response, ``fields`` into the error.
    """

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        headers: Mapping[str, str] | None = None,
        fields: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = dict(headers or {})
        self.fields = dict(fields or {})


def body(error: ApiError, request_id: str) -> dict[str, Any]:
    """Return the document of one error."""
    entry = {
        "status": error.status,
        "code": f"cachemig.{_CODES.get(error.status, 'error')}",
        "title": TITLES.get(error.status, "Error"),
        "detail": error.detail,
        "request_id": request_id,
    }
    return {"errors": [entry | error.fields]}
