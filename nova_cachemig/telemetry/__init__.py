"""Samples of load: sources that deliver them, and the history that keeps them.

A source is an entry point in ``nova_cachemig.telemetry``: Nova's notifications, Prometheus,
or Gnocchi. Sources pass samples to the collector, which checks them and stores them in the
history. The history has a fixed size and survives a restart. This package makes no forecasts.
"""
