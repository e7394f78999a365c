"""Runs in nova-scheduler: weighers over a snapshot in memory. Never raises, no I/O."""
