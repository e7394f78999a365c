"""Outcomes and measurements as tables, JSON and a self-contained page. Pure."""
