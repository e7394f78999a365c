"""Checks at the start that the available keys are the ones with which the journal was encrypted.

Each key leaves a proof in the database when it is first used. A missing key, or another key of the
same name, is therefore found before any record is read. So an operator's mistake with keys puts no
write into quarantine.
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

_STILL_NEEDED = (WriteState.ACCEPTED, WriteState.IN_DOUBT, WriteState.RESEND)


def check(
    connection: sa.Connection, lost: Collection[str], spool: Spool, progress: Progress
) -> None:
    """Compare the available keys (``spool.cipher``) with the journal's, in one transaction.

    ``lost``: names of keys that the operator has given up. A key that is no longer needed is
    removed from the database; a new key is recorded. Raises JournalError.
    """
    cipher = spool.cipher
    known = {
        str(row.key_id): bytes(row.proof) for row in connection.execute(sa.select(CIPHER_KEYS))
    }
    for key_id, proof in known.items():
        if key_id in lost:
            continue
        if key_id not in cipher.key_ids:
            _check_missing_key(connection, key_id, spool, progress)
        elif not cipher.proves(key_id, proof):
            raise JournalError(
                f"the configured key {key_id!r} is not the key {key_id!r} that encrypted the "
                "journal. Restore that key; a new key needs a new name"
            )
    if cipher.key_id is not None and cipher.key_id not in known:
        row = {"key_id": cipher.key_id, "proof": cipher.proof()}
        connection.execute(sa.insert(CIPHER_KEYS), [row])


def _check_missing_key(
    connection: sa.Connection, key_id: str, spool: Spool, progress: Progress
) -> None:
    """Raise JournalError if something is encrypted with the key; else remove its proof."""
    writes = _count(connection, WRITES.c.key_id == key_id, WRITES.c.state.in_(_STILL_NEEDED))
    responses = _count(connection, WRITES.c.response_key_id == key_id)
    for (service, position), used in progress.key_ids.items():
        if used == key_id:  # the log also has entries of writes that are recorded by now
            this_write = (WRITES.c.service == service, WRITES.c.position == position)
            responses += _count(connection, *this_write, WRITES.c.state == WriteState.ACCEPTED)
    names = connection.execute(
        sa.select(WRITES.c.spool).where(
            WRITES.c.spool.is_not(None), WRITES.c.state.in_(_STILL_NEEDED)
        )
    ).scalars()
    files = spool.encrypted_with(key_id, names)
    if writes or responses or files:
        raise JournalError(
            f"the key {key_id!r} is missing: {writes} writes, {responses} responses and {files} "
            "spool files of the journal are encrypted with it. Restore the key. Only if it is lost "
            "for good, name it in [journal] lost_keys; these writes are then quarantined"
        )
    connection.execute(sa.delete(CIPHER_KEYS).where(CIPHER_KEYS.c.key_id == key_id))
    LOG.info("The journal no longer contains anything encrypted with key %r", key_id)


def _count(connection: sa.Connection, *where: sa.ColumnElement[bool]) -> int:
    query = sa.select(sa.func.count()).select_from(WRITES).where(*where)
    return int(connection.execute(query).scalar() or 0)
