"""RPC: one module for the bus, one server, one client, one file per contract.

==============  ==================================================================================
module          what it holds
==============  ==================================================================================
``bus``         the transport, the exchange, targets, the serializer
``server``      :class:`~.server.RpcServer`: listens, retries for ever, says whether it listens
``client``      :class:`~.client.RpcClient`: casts that never wait, calls with a deadline
``bounded``     the deadline of a call
``cast_queue``  the thread that sends casts
``checks``      the validation of arguments that come over the wire
``faults``      errors that are counted always and logged once
``agent``       contract: nova-compute and operators → agent
``forecaster``  contract: schedulers and operators → forecaster
``snapshots``   contract: forecaster → schedulers
==============  ==================================================================================

A contract is the method names, their version history, the validation on the wire, the client and
the dispatcher. Only the primitives of JSON travel.
"""
