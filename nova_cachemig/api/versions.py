"""The microversion of a request, and the version documents. No I/O."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import microversion_parse

from nova_cachemig.api.errors import ApiError

SERVICE_TYPE: Final = "cachemig"
HEADER: Final = "OpenStack-API-Version"
MIN: Final = microversion_parse.Version(1, 0)
MAX: Final = microversion_parse.Version(1, 0)
HISTORY: Final[Mapping[str, str]] = {
    "1.0": "Services, handovers and quarantined writes; resend and discard of a write.",
}
"""Each microversion, with its changes."""


def requested(headers: Mapping[str, str]) -> microversion_parse.Version:
    """Return the microversion of a request; without the header, the lowest. Raises ApiError."""
    text = microversion_parse.get_version(headers, SERVICE_TYPE)
    if text is None:
        return MIN
    if text == "latest":
        return MAX
    try:
        version = microversion_parse.parse_version_string(text)
    except (TypeError, ValueError) as exc:
        raise ApiError(
            400, f"the header {HEADER} is not valid; expected: {SERVICE_TYPE} {MAX}"
        ) from exc
    if not MIN <= version <= MAX:
        raise ApiError(
            406,
            f"microversion {version} is not supported; supported: {MIN} to {MAX}",
            fields={"min_version": str(MIN), "max_version": str(MAX)},
        )
    return version


def document(base: str) -> dict[str, Any]:
    """Return the description of version 1. ``base``: the URL of the API, without ``/v1``."""
    return {
        "id": "v1",
        "status": "CURRENT",
        "min_version": str(MIN),
        "max_version": str(MAX),
        "links": [{"rel": "self", "href": f"{base}/v1/"}],
    }
