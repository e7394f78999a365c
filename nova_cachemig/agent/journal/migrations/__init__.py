"""Alembic's revisions of the journal's tables; ``migrate.py`` applies them."""
