"""Writes and handovers on disk: what is accepted here survives whatever dies.

Belongs here: the database and its tables, group commit, spool files, the progress log, recovery.
Not here: HTTP (``agent/intake``, ``agent/replay``).

How "accepted means applied, once, in order" is kept without an fsync between two writes:

* A write is accepted when its row is committed. One thread commits all that waits in one go.
* The row does not say *sent*. Per service, one number says through which position writes *may*
  have been sent (``through``). It is committed ahead, ``[journal] send_window`` writes at a time,
  and together with the acceptance while the guest answers: no fsync of its own.
* Before a write goes out, and when its answer is in, a line is added to the *progress log*, a
  file that is not synced. A crash of the agent loses nothing of it, so exactly the writes in
  flight are in doubt then. A power failure may lose lines, which the boot id tells; then all up to
  ``through`` without an answer are in doubt.
* An answer is committed before its client sees it.
"""
