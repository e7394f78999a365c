"""Which front address stands before which instance: files in, validated services out.

Belongs here: the schema, reading and writing the files, and finding the guests' addresses.
"""
