"""Rename "answer" to "response": the columns of the response, and the state that follows it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_COLUMNS = ("headers", "body", "spool", "length", "key_id")


def upgrade() -> None:
    """Rename in place, without a copy of the rows.

    Each step may be repeated: MySQL commits each of them, so a crash may leave only some of them.
    """
    writes = sa.table("writes", sa.column("state", sa.String))
    op.execute(sa.update(writes).where(writes.c.state == "answered").values(state="responded"))
    present = {column["name"] for column in sa.inspect(op.get_bind()).get_columns("writes")}
    for name in _COLUMNS:
        if f"answer_{name}" in present:
            # Not op.alter_column: for SQLite, alembic would need to copy the table.
            op.execute(f"ALTER TABLE writes RENAME COLUMN answer_{name} TO response_{name}")
