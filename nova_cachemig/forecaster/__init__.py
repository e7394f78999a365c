"""The forecaster: telemetry in, forecasts each interval, a snapshot to all schedulers.

Also what ``nova-cachemig-manage`` shows of it. How load goes on is decided in ``forecast``; this
room runs it, on the level of the agent, and knows nothing of Nova's code.
"""
