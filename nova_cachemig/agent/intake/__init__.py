"""Accepts writes from the edge: HTTP/1.1 on a unix socket. Responds like the guest, or with 202.

Belongs here: the server, the rules of acceptance and refusal, status URLs, Idempotency-Key, and
the read barrier. Not here: the disk (``agent/journal``), the guest (``agent/replay``).

The server is httptools (llhttp) on this package's asyncio protocol, not on uvicorn's. It must

* refuse a body before it is transferred,
* write large bodies to disk while they arrive,
* keep trailers out of the header fields (uvicorn appends them to the list that the application
  has), and
* accept at least 3,000 writes per second on one core, together with the journal.
"""
