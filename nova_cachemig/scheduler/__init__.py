"""Runs in nova-scheduler: weighers and a filter over a snapshot in memory. Never raises, no I/O."""
