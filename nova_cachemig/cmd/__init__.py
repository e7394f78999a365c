"""Entry points of the programs. No logic."""
