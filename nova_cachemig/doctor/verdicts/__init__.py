"""Decides on the facts that the checks have found. No I/O, no clock."""
