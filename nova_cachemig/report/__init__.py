"""Outcomes of a measured run → figures, claims, tables, JSON and one page with the timeline. Pure."""
