"""Every option of the project, one module a group. Never read at import."""
