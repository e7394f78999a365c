"""Ranks the pages that users are about to need, from the access log. Pure.

* ``table``: the pages of a service, in bounded memory, with admission by ``sketch``;
* ``rates``: the request rate of each page;
* ``sessions``: the pages that a client requests after its earlier ones;
* ``hotset``: the ranking, the sum of both.

``agent/warm`` fetches the pages.
"""
