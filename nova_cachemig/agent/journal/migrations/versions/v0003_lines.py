"""Records of lines: the tables stay as they are, but an older agent would call these damaged."""

from __future__ import annotations

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Change nothing: what is there is read as before."""
