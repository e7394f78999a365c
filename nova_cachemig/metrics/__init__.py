"""Metrics for Prometheus: their names, their listener. The daemons provide the numbers."""
