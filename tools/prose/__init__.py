"""The prose linter: plain technical English in docs, help texts, comments and commit subjects.

``python -m tools.prose`` checks the whole repository and the subjects of new commits. With
arguments it checks the given files or directories only.
"""
