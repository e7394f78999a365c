"""The modules of ``benchmarks/journal``."""
