"""Add the name of the key that encrypts a record."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns, empty: existing records are not encrypted."""
    op.add_column("writes", sa.Column("key_id", sa.String(64)))
    op.add_column("writes", sa.Column("answer_key_id", sa.String(64)))
    op.create_table(
        "cipher_keys",
        sa.Column("key_id", sa.String(64), primary_key=True),
        sa.Column("proof", sa.LargeBinary(128), nullable=False),
        mysql_engine="InnoDB",
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
    )
