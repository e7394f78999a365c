"""The forecasting room: histories of load in, forecasts out.

Pure: numpy and the standard library. No oslo, no Nova, no sockets, no clock; the same matrix
gives the same forecast. What belongs here: how load goes on, how sure that is, and what an
instance adds to a host. Where samples come from is telemetry's; who hears of a forecast is the
forecaster daemon's.

Shapes: H hosts, T samples (columns of the matrix), O origins. An *origin* is a column; a forecast
made at origin t knows columns 0..t and is about columns t+1..t+steps.
"""
