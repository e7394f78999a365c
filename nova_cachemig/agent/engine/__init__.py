"""Renders, validates and runs HAProxy and Varnish, and flips their state at run time.

``driver`` is what the manager sees, ``warming`` what the warmer needs. The rest, from the bottom:

* ``names``: how services, pages and addresses are written where a word must be a word;
* ``files``, ``render``, ``limits``: the engines' files and what they may open;
* ``process``, ``supervisor``: their processes; ``edge``, ``cache``: HAProxy and Varnish;
* ``admin``, ``maps``: HAProxy's run-time interface; ``accesslog``, ``tally``: its log;
* ``sockdiag``: cutting connections that are stuck.

What the edge does when parts are missing (the rules are in ``templates/haproxy.cfg.j2``):

* **Varnish is gone**: reads go straight to the guest; while shielded they are held.
* **The agent is gone** (its intake refuses connections): nobody could end a hold, so shielded is
  taken for armed: hits are served, the rest goes to the guest and waits for it there. The first
  write that comes goes straight, and from then on so do all requests of the service (mode
  ``open``), since nobody says any more what a write made stale.
* **The agent is gone and writes wait in its journal** (the mark beside the pending keys): a write
  waits for the agent's return, then gets 503 with Retry-After. It never overtakes them.
* **HAProxy is gone**: the agent starts it again, with the maps from its memory.

A write is sent once: connections that could not be made are tried again, nothing else.
"""
