"""The parts of benchmarks/hotset: logs in, methods side by side, a table and JSON out."""
