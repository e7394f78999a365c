"""Replay: sends the journal's writes to the guest, each once and in their order.

Belongs here: the queue of a service's writes, the rules of their order, the sender, connections to
the guest. Not here: the disk (``agent/journal``), clients (``agent/intake``).

HTTP towards the guest is httptools (llhttp in C) on an asyncio protocol. The speed of a sequential
sender depends on its overhead per request, and h11's is about ten times as large.
"""
