"""The journal's writes to the guest, one after the other, in their order.

Belongs here: a service's line of writes, the sender, the connection to the guest. Not here: what is
on disk (``agent/journal``), clients (``agent/intake``).

HTTP towards the guest is httptools (llhttp in C) over an asyncio protocol: a sequential sender is
as fast as its overhead a request is small, and h11 costs about ten times as much of it.
"""
