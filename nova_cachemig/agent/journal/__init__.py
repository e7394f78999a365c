"""Writes and handovers on disk. Accepted writes survive every crash.

Belongs here: the database and its tables, group commit, spool files, the progress log, recovery.
Not here: HTTP (``agent/intake``, ``agent/replay``).

An accepted write is applied once and in order, although there is no fsync between two writes:

* A write is accepted when its row is committed. One thread commits all waiting steps together
  (group commit).
* The row does not record that the write was sent. Instead, each service has one number, the *send
  limit*: writes up to this position *may* have been sent. It is committed ahead of need,
  ``[journal] send_window`` writes at a time. While the guest is reachable it is committed together
  with the acceptance, so it costs no extra fsync.
* Before a write is sent, and again when its response arrives, the agent appends an entry to the
  *progress log*, a file that is synced only when the agent stops. A crash of the agent loses none
  of these entries, so only the writes in flight may have been applied without a recorded response.
  A power failure may lose entries; the first line of the log shows that. Then every write up to the
  send limit without a response may have been applied. Those that must not be sent twice are *in
  doubt*.
* A response is committed before the client sees it.
"""
