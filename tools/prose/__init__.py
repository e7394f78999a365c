"""The prose linter: plain technical English in docs, help texts, comments and commit subjects.

``python -m tools.prose`` checks the paths that ``rules.yml`` enforces. With arguments it checks the
given files or directories instead, enforced or not.
"""
