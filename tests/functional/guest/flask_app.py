"""A Flask application like a guest's."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from flask import Flask, Response, request

from nova_cachemig.guest import SqliteStore, WsgiIdempotency
from tests.functional.guest import shop

app = Flask(__name__)


@app.route("/orders", methods=["POST", "PUT", "DELETE"])
def orders() -> Response:
    """Apply the body."""
    response = Response(shop.apply(request.get_data()), status=201)
    response.headers["X-Shop"] = "flask"
    response.set_cookie("order", "1")
    response.set_cookie("cart", "2")
    return response


@app.post("/form")
def form() -> dict[str, Any]:
    """Apply a form with a file."""
    shop.apply(request.form["name"].encode())
    return {"name": request.form["name"], "bytes": len(request.files["file"].read())}


@app.post("/own")
def own() -> tuple[str, int]:
    """Apply the write and its key in one transaction."""
    text, _ = shop.apply_with_key(
        request.get_data(), request.environ["nova_cachemig.idempotency_key"]
    )
    return text, 201


@app.post("/large")
def large() -> Response:
    """Respond with more than is kept, piece by piece."""
    shop.apply(request.get_data())
    return Response((b"x" * 50_000 for _ in range(10)), status=201, headers={"Location": "/o/1"})


@app.post("/fails")
def fails() -> str:
    """Apply, then fail."""
    shop.apply(request.get_data())
    raise ArithmeticError("planted")


def _dying(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    response = guarded(environ, start_response)
    shop.die_at("stored")
    return response


guarded = WsgiIdempotency(app.wsgi_app, SqliteStore(shop.KEYS), shop.SETTINGS)
if shop.GUARDED:
    app.wsgi_app = _dying
