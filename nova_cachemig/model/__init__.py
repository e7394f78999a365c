"""Frozen facts that pass between the rooms. Nothing here decides or does I/O."""
