"""Brings the tables up to date, by alembic."""

from __future__ import annotations

import sqlalchemy as sa

from nova_cachemig.agent.journal.schema import METADATA


def upgrade(engine: sa.Engine) -> None:
    """Create or change the tables as this version needs them."""
    METADATA.create_all(engine)
