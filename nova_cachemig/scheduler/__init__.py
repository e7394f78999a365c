"""Weighers and a filter for nova-scheduler, which read forecasts from memory.

No code here raises or does I/O in a request of Nova: an error leaves the request as it was.
"""
