"""The services: which front address belongs to which instance and port.

This package has the schema of the services files, reads and writes these files, and looks up the
guests' addresses in Nova.
"""
