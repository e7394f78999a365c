"""The code of benchmarks/placement: readers, trials, score, report, cli.

``readers`` reads a trace into panels of machines. ``trials`` groups random machines into hosts and
forecasts them at random instants. ``score`` computes error, coverage and regret of each method,
with intervals. ``report`` prints them.
"""
