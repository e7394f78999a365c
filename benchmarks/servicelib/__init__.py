"""The parts of ``benchmarks/services``."""
