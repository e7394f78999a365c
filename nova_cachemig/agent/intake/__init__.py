"""Writes from the edge: HTTP/1.1 on a unix socket, answered when the guest has, or with 202.

Belongs here: the server, what is accepted and what is refused, status URLs, Idempotency-Key, what
the engine is told about a write. Not here: the disk (``agent/journal``), the guest
(``agent/replay``).

The server is httptools (llhttp) under an asyncio protocol of our own rather than uvicorn's: it must
refuse a body before it is taken, write large ones to disk as they come, keep trailers out of the
headers (uvicorn's httptools protocol appends them to the list that the application holds), and take
at least 3,000 writes a second on one core together with the journal.
"""
