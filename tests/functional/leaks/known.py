"""Leaks that are known and not closed yet.

The test fails for each other leak, and for each entry here that leaks no more.
"""

from __future__ import annotations

KNOWN_LEAKS: tuple[tuple[str, str, str], ...] = ()
"""Patterns of the way and the phase, and the reason."""
