"""Writes, services, keys and handovers."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_BLOB = sa.LargeBinary().with_variant(mysql.LONGBLOB(), "mysql", "mariadb")
_TEXT = sa.Text().with_variant(mysql.LONGTEXT(), "mysql", "mariadb")
_MYSQL: dict[str, Any] = {
    "mysql_engine": "InnoDB",
    "mysql_charset": "utf8mb4",
    "mysql_collate": "utf8mb4_bin",
}


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "writes",
        sa.Column("service", sa.String(190), primary_key=True),
        sa.Column("position", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("state", sa.String(10), nullable=False),
        sa.Column("accepted_us", sa.BigInteger, nullable=False),
        sa.Column("method", sa.String(32), nullable=False),
        sa.Column("url", _TEXT, nullable=False),
        sa.Column("host", sa.String(512), nullable=False),
        sa.Column("headers", _TEXT, nullable=False),
        sa.Column("body", _BLOB),
        sa.Column("spool", sa.String(64)),
        sa.Column("spool_digest", sa.LargeBinary(16)),
        sa.Column("length", sa.BigInteger, nullable=False),
        sa.Column("client", _TEXT, nullable=False),
        sa.Column("idempotency_key", _TEXT),
        sa.Column("flags", sa.Integer, nullable=False),
        sa.Column("wants_later", sa.Boolean, nullable=False),
        sa.Column("checksum", sa.LargeBinary(8), nullable=False),
        sa.Column("ended_us", sa.BigInteger),
        sa.Column("note", _TEXT),
        sa.Column("status", sa.Integer),
        sa.Column("answer_headers", _TEXT),
        sa.Column("answer_body", _BLOB),
        sa.Column("answer_spool", sa.String(64)),
        sa.Column("answer_length", sa.BigInteger),
        **_MYSQL,
    )
    op.create_index("ix_writes_state", "writes", ["state", "service", "position"])
    op.create_table(
        "services",
        sa.Column("service", sa.String(190), primary_key=True),
        sa.Column("through", sa.BigInteger, nullable=False),
        sa.Column("secret", sa.LargeBinary(32), nullable=False),
        **_MYSQL,
    )
    op.create_table(
        "idempotency_keys",
        sa.Column("service", sa.String(190), primary_key=True),
        sa.Column("digest", sa.String(32), primary_key=True),
        sa.Column("position", sa.BigInteger, nullable=False),
        sa.Column("fingerprint", sa.String(32), nullable=False),
        sa.Column("accepted_us", sa.BigInteger, nullable=False),
        **_MYSQL,
    )
    op.create_table(
        "handovers",
        sa.Column("instance", sa.String(64), primary_key=True),
        sa.Column("request", sa.String(128), primary_key=True),
        sa.Column("started", sa.Float(53), nullable=False),
        sa.Column("unfinished", sa.Boolean, nullable=False),
        sa.Column("record", _TEXT, nullable=False),
        **_MYSQL,
    )
    op.create_index("ix_handovers_started", "handovers", ["started"])
    op.create_index("ix_handovers_unfinished", "handovers", ["unfinished"])
