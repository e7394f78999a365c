"""Immutable values that pass between the packages. They make no decision and do no I/O."""
