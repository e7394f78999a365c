"""From the access log to the pages that users are about to need. Pure.

What belongs here: which pages there are (``table``, bounded, with admission by ``sketch``), how
often each is asked for (``rates``), what a client asks for after what it has asked for already
(``sessions``), and the sum of these, the hot set (``hotset``). Fetching is ``agent/warm``.
"""
