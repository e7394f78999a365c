"""A journal as the agent wrote it at revision 0003, when columns and a state said "answer"."""

from __future__ import annotations

from typing import Any, Final

import sqlalchemy as sa
from alembic import command

from nova_cachemig.agent.journal import migrate
from nova_cachemig.model.write import Body, GuestResponse

REVISION: Final = "0003"
KEY: Final = b"\1" * 32
"""The key "k" that encrypts the response to shop/3."""
RESPONSE: Final = GuestResponse(201, (("x-seq", "2"),), Body.of(b"made"))
"""The response to shop/2 and shop/3."""
SPOOLED: Final = "response-of-shop-4"
"""The spool file with the response to shop/4."""

_HEADERS_OF_3: Final = (
    "ugLdC1JrQIShkGm7SszpbgAAAAAAAAAAAAAAAKQ/xZVFQs2TtcVjX5JyW0mlQkzqrqpdSES1QuRe1ao="
)
_BODY_OF_3: Final = bytes.fromhex(
    "ba02dd0b526b4084a19069bb4acce96e0000000000000000000000018311b41f8d8e38b2977b33cba121442351851c3e"
)
_WRITE: Final[dict[str, Any]] = {
    "service": "shop", "position": 1, "state": "accepted", "accepted_us": 1_000_000,
    "method": "POST", "url": "", "host": "h", "headers": "/orders\nc\n\na\nb", "body": b"x",
    "length": 1, "client": "", "flags": 12, "wants_later": False,
    "checksum": bytes.fromhex("d7f9ff0ec1bef228"),
}  # fmt: skip
_RESPONDED: Final = _WRITE | {"state": "answered", "body": None, "ended_us": 5, "status": 201,
                              "wants_later": True}  # fmt: skip
ROWS: Final[tuple[dict[str, Any], ...]] = (
    _WRITE,
    _RESPONDED | {"position": 2, "answer_headers": '[["x-seq","2"]]', "answer_body": b"made",
                  "answer_length": 4},
    _RESPONDED | {
        "position": 3, "answer_headers": _HEADERS_OF_3, "answer_body": _BODY_OF_3,
        "answer_length": 4, "answer_key_id": "k",
    },
    _RESPONDED | {"position": 4, "answer_headers": "[]", "answer_spool": SPOOLED,
                  "answer_length": 100_000},
    _WRITE | {"position": 5, "state": "in_doubt", "note": "connection lost",
              "checksum": bytes.fromhex("dc541d9a8e25ce85")},
)  # fmt: skip


def make(engine: sa.Engine) -> None:
    """Create the former tables in an empty database, with :data:`ROWS`."""
    with engine.begin() as connection:
        command.upgrade(migrate.configuration(connection), REVISION)
        writes = sa.Table("writes", sa.MetaData(), autoload_with=connection)
        for row in ROWS:
            connection.execute(sa.insert(writes).values(row))
