"""Add the position at which a write was sent again, for its status URL."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column, empty. This step may be repeated, as in revision 0004."""
    columns = sa.inspect(op.get_bind()).get_columns("writes")
    if "moved_to" not in [column["name"] for column in columns]:
        op.add_column("writes", sa.Column("moved_to", sa.BigInteger))
