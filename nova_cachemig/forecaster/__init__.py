"""The forecaster daemon: collects samples, forecasts at intervals, sends snapshots to schedulers.

It also serves the queries of ``nova-cachemig-manage``. The forecasting methods are in
``forecast``. Nothing here imports Nova.
"""
