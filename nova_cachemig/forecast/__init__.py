"""Forecasting methods: histories of load in, forecasts out.

Pure code: numpy and the standard library, without oslo, Nova, sockets or a clock. The same matrix
always gives the same forecast. The package covers the course of a load, its uncertainty, and the
load that an instance adds to a host. Samples come from ``telemetry``; the ``forecaster`` daemon
distributes the forecasts.

Shapes: H hosts, T samples (columns of the matrix), O origins. An *origin* is a column. A forecast
made at origin t knows columns 0..t and covers columns t+1..t+steps.
"""
