"""Many handovers at the same time: the guests, their users, the cache node, and the figures."""
