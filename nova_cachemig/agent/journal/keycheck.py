"""Before the journal is used: are the keys those with which it was encrypted?

Each key leaves a proof in the database when it is first used. So a key that is missing, or that is
another one of the same name, is found before any record is looked at, and nothing is set aside for
an operator's slip.
"""

from __future__ import annotations

import logging
from collections.abc import Collection

import sqlalchemy as sa

from nova_cachemig.agent.journal.errors import JournalError
from nova_cachemig.agent.journal.progress import Progress
from nova_cachemig.agent.journal.schema import CIPHER_KEYS, WRITES
from nova_cachemig.agent.journal.spool import Spool
from nova_cachemig.model.write import WriteState

LOG = logging.getLogger(__name__)

_WANTED = (WriteState.ACCEPTED, WriteState.IN_DOUBT, WriteState.RESEND)


def check(
    connection: sa.Connection, lost: Collection[str], spool: Spool, progress: Progress
) -> None:
    """Compare the keys at hand (``spool.cipher``) with the journal's, in one transaction.

    Raises JournalError. A key that nothing needs any more is forgotten; a new one is recorded.
    """
    cipher = spool.cipher
    known = {
        str(row.key_id): bytes(row.proof) for row in connection.execute(sa.select(CIPHER_KEYS))
    }
    for key_id, proof in known.items():
        if key_id in lost:
            continue
        if key_id not in cipher.key_ids:
            _missing(connection, key_id, spool, progress)
        elif not cipher.proves(key_id, proof):
            raise JournalError(
                f"The key {key_id!r} that the agent was given is not the key {key_id!r} with "
                "which its journal was encrypted. Give it that one back; a new key needs a new name"
            )
    if cipher.key_id is not None and cipher.key_id not in known:
        row = {"key_id": cipher.key_id, "proof": cipher.proof()}
        connection.execute(sa.insert(CIPHER_KEYS), [row])


def _missing(connection: sa.Connection, key_id: str, spool: Spool, progress: Progress) -> None:
    writes = _count(connection, WRITES.c.key_id == key_id, WRITES.c.state.in_(_WANTED))
    answers = _count(connection, WRITES.c.answer_key_id == key_id)
    for (service, position), used in progress.key_ids.items():
        if used == key_id:  # the log has lines of recorded writes, too
            this = (WRITES.c.service == service, WRITES.c.position == position)
            answers += _count(connection, *this, WRITES.c.state == WriteState.ACCEPTED)
    names = connection.execute(
        sa.select(WRITES.c.spool).where(WRITES.c.spool.is_not(None), WRITES.c.state.in_(_WANTED))
    ).scalars()
    files = spool.encrypted_with(key_id, names)
    if writes or answers or files:
        raise JournalError(
            f"The key {key_id!r} is missing: {writes} writes, {answers} answers and {files} spool "
            "files of the journal are encrypted with it. Put it back. Only if it is gone for good, "
            "name it in [journal] lost_keys: those writes are then set aside"
        )
    connection.execute(sa.delete(CIPHER_KEYS).where(CIPHER_KEYS.c.key_id == key_id))
    LOG.info("Nothing in the journal is encrypted with key %r any more", key_id)


def _count(connection: sa.Connection, *where: sa.ColumnElement[bool]) -> int:
    query = sa.select(sa.func.count()).select_from(WRITES).where(*where)
    return int(connection.execute(query).scalar() or 0)
