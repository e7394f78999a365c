"""Users, guests and migrations as they really are, against the whole agent; judges the result."""
