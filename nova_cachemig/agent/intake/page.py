"""Pages for browsers whose form the intake has accepted: they lead to the status URL."""

from __future__ import annotations

import html
from typing import Final

from nova_cachemig.agent.intake.http import RETRY_AFTER, Response
from nova_cachemig.model.write import Body, Headers

_PAGE: Final = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
{refresh}<title>{title}</title>
</head>
<body>
<h1>{title}</h1>
<p>{text}</p>
<p><a href="{url}">Show the result</a></p>
</body>
</html>
"""
_REFRESH: Final = '<meta http-equiv="refresh" content="{seconds}; url={url}">\n'
_SECONDS: Final = 2

SAVED: Final = (
    "Saved, being applied",
    "Your input is saved. The server applies it in a moment: it is being moved. Do not send it "
    "again.",
)
UNKNOWN: Final = (
    "Not yet known",
    "It is not yet known whether the server has applied your input. An operator decides. Do not "
    "send it again.",
)


def page_response(
    status: int, content: tuple[str, str], url: str, *extra: tuple[str, str], refresh: bool
) -> Response:
    """Return a page with a title and a text. ``refresh``: it loads the status URL on its own."""
    title, text = map(html.escape, content)
    link = html.escape(url, quote=True)
    again = _REFRESH.format(seconds=_SECONDS, url=link) if refresh else ""
    body = _PAGE.format(title=title, text=text, url=link, refresh=again)
    headers: Headers = (
        ("content-type", "text/html; charset=utf-8"),
        ("cache-control", "no-store"),
        ("content-security-policy", "default-src 'none'; frame-ancestors 'self'"),
        ("referrer-policy", "no-referrer"),
        *((RETRY_AFTER,) if refresh else ()),
        *extra,
    )
    return Response(status, headers, Body.of(body.encode()))
