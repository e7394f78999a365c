"""The owner of the database, and room for every method and host."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table, and widen the columns. Each step may be repeated, as in revision 0004."""
    bind = op.get_bind()
    if not sa.inspect(bind).has_table("owner"):
        op.create_table(
            "owner",
            sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
            sa.Column("generation", sa.BigInteger, nullable=False),
            sa.Column("holder", sa.String(255)),
            mysql_engine="InnoDB",
            mysql_charset="utf8mb4",
            mysql_collate="utf8mb4_bin",
        )
    if bind.dialect.name != "sqlite":  # SQLite has no lengths
        for name, length in (("method", 255), ("host", 2048)):
            op.alter_column(
                "writes", name, type_=sa.String(length), existing_nullable=False,
                nullable=False,
            )  # fmt: skip
