"""The measure: an open-loop load, a probe of the guest, and a checker of the guest's log."""
