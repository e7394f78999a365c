"""RPC: one module for the bus, one server, one client, one file per contract.

* ``bus``: the transport, the exchange, targets, the serializer.
* ``rabbit``: the flags and bounds of exchanges and queues in RabbitMQ.
* ``server``: :class:`~.server.RpcServer` listens, and tries again for ever until it can.
* ``ownership``: which of several agents serves a topic.
* ``connection``: a plain connection to RabbitMQ, without oslo.messaging.
* ``remedies``: the remedy for each error of the bus, for an operator.
* ``client``: :class:`~.client.RpcClient` sends casts that never wait and calls with a deadline.
* ``bounded``: the deadline of a call.
* ``cast_queue``: the thread that sends casts.
* ``checks``: the validation of arguments that come over the wire.
* ``faults``: errors that are always counted and logged once.
* ``agent``: the contract between nova-compute or operators and the agent.
* ``journal``: the contract between operators and the agent's journal.
* ``forecaster``: the contract between schedulers or operators and the forecaster.
* ``snapshots``: the contract between the forecaster and the schedulers.
* ``samples``: the contract between nova-compute and the forecaster.

A contract is the method names, their version history, the validation on the wire, the client and
the dispatcher. Only the primitives of JSON travel.
"""
