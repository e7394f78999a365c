"""Renders, validates and runs HAProxy and Varnish, and changes their state at run time.

``driver`` is the port that the manager uses, ``warming`` the interface for the warmer. The other
modules, from the bottom up:

* ``names``: the form of services, pages and addresses in maps, headers and logs;
* ``files``, ``render``, ``capacity``: the engines' files and the limits of their connections;
* ``process``, ``supervisor``: the engines' processes; ``edge`` and ``cache``: HAProxy and Varnish;
* ``admin``: HAProxy's run-time interface; ``shared``: one question for all who ask it;
* ``ledger``, ``writer``, ``maps``: the wanted entries of HAProxy's maps, and their one owner;
* ``accesslog``, ``counters``: HAProxy's log;
* ``routes``, ``barrier``: the contents of the maps: which service is where, and which reads
  must not use the cache or must wait;
* ``sockdiag``: lists TCP connections, and cuts them; ``descriptors``: which of them are HAProxy's;
  ``guests``: both, asked once for all services.

The edge's behaviour when a component is missing (the rules are in ``templates/haproxy.cfg.j2``):

* **Varnish is gone**: reads go directly to the guest. While shielded they are held.
* **The agent is gone** (its intake refuses connections, or does not respond): nothing could end a
  hold, so the edge treats *shielded* as *armed*. It serves hits; the other requests go to the guest
  and wait there. A request in an agent that hangs ends with 502.
  The first write goes directly to the guest. From then on all requests of that service do (mode
  ``open``), because no agent records any longer which pages a write made stale.
* **The agent is gone and writes wait in its journal** (the map of pending keys has the journal
  key): a write waits for the agent's return. If the agent stays away, the client gets 503 with
  Retry-After. The write never overtakes the journal.
* **HAProxy is gone**: the agent restarts it, with the maps from its own memory.

A write is sent once. Only a connection that could not be made is tried again.
"""
