"""Outcomes of measured runs → figures, claims, tables, JSON and a page with a timeline. Pure."""
