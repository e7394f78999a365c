"""The modules of benchmarks/hotset: reads logs, compares methods, prints a table and JSON."""
