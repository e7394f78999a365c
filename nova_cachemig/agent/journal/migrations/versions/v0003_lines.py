"""Records as lines of text: no new columns, but an older agent would call them damaged."""

from __future__ import annotations

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Change nothing: existing records stay readable."""
