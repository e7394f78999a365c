"""The parts of benchmarks/placement: readers, trials, score, report, cli.

A trace is read into panels of machines (``readers``); hosts are made of random machines and
forecast at random instants (``trials``); each method's error, coverage and regret are summed up
with intervals (``score``) and shown (``report``).
"""
