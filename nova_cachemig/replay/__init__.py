"""The decisions of the write path: events in, actions out. Pure: no I/O and no clock.

One ``Machine`` decides for one service: the order of writes, the time and the connection of each
send, the meaning of each outcome, and the response to each client. The agent performs the actions
(``agent/writes``): it stores, sends and responds. ``tests/simulating`` drives the same machine with
a simulated disk, network, guest and clients.
"""
