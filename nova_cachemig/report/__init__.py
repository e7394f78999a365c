"""Outcomes of measured runs → figures, claims, tables, JSON and a page with the timeline. Pure."""
