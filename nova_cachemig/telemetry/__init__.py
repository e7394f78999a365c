"""Where samples of load come from: Nova's notifications, Prometheus; and how they are kept.

Sources are entry points in ``nova_cachemig.telemetry``. What they give goes through the intake,
which knows what is no sample, into the history, which is bounded and survives a restart. No
forecasting here.
"""
