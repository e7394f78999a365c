"""The protocol of one migration: events in, actions out. Pure: no I/O and no clock."""
