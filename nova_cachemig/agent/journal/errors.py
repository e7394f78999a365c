"""The journal's errors. Each says whose fault it is."""

from __future__ import annotations

from nova_cachemig.agent.ports import ComponentError


class JournalError(ComponentError):
    """The journal cannot be used. The text tells the operator what to look at."""


class NotAccepted(JournalError):
    """The write is not on disk and never will be: the disk's or the database's fault."""


class AcceptanceUnknown(JournalError):
    """The write may be on disk or not: the connection to the database was lost in COMMIT.

    The agent removes it as soon as it can. If it dies before, the next agent may find the write
    and send it.
    """


class JournalLocked(JournalError):
    """Another agent uses the same directory or database: the operator's fault."""


class OwnershipLost(JournalError):
    """Another agent has taken over the database. This one must end."""
