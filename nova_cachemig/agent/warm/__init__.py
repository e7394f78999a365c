"""Fills the cache before need: fetches the hot set through it, without slowing down the guest.

* ``warmer``: decides which pages to fetch, and when;
* ``job``: fetches a queue of pages; ``rate``: the rate that the guest allows;
* ``fetcher``: fetches one page and records the result; ``client``: the HTTP client;
  ``response``: the result of a fetch;
* ``discover``: finds the pages that a page embeds and links to; ``links``: the queue of the latter;
  ``robots``: which of them a site allows to follow;
* ``prover``: proves that users can share a stored page; ``proof``: on which headers a page depends,
  from responses to several strangers; ``strangers``: their headers; ``digest``: of a body;
* ``refresh``: the stored pages and the times of their refresh.
"""
