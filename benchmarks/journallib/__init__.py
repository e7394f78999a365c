"""The parts of ``benchmarks/journal``."""
