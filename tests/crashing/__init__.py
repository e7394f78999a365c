"""Kills the write path at random points and at every failpoint, then judges the guest's log."""
