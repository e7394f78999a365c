"""Kills the write path at random and at every failpoint, and judges what the guest has then."""
