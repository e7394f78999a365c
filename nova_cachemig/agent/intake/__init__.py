"""Accepts writes from the edge: HTTP/1.1 on a unix socket. Responds like the guest, or with 202.

Belongs here: the server, the rules of acceptance and refusal, status URLs, Idempotency-Key, and
what a write means for reads. Not here: the disk (``agent/journal``), the guest (``agent/replay``).

The server is httptools (llhttp) on our own asyncio protocol instead of uvicorn's, because it must

* refuse a body before it is transferred,
* write large bodies to disk while they arrive,
* keep trailers out of the header fields (uvicorn appends them to the list that the application
  has), and
* accept at least 3,000 writes per second on one core, together with the journal.
"""
