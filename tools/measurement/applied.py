"""What a cache node's journal tells of writes that were told 202: when the guest had answered.

It keeps them with both instants (``[journal] keep_responses``), so nothing is asked of the agent
while it has other work.
"""

from __future__ import annotations

import contextlib

import sqlalchemy as sa
from oslo_config import cfg
from oslo_db import exception as db_exc

from nova_cachemig.agent.journal import record
from nova_cachemig.agent.journal.errors import JournalError
from nova_cachemig.agent.journal.offline import engine_of, spool_of
from nova_cachemig.agent.journal.schema import WRITES
from nova_cachemig.conf import setup
from nova_cachemig.model.write import WriteState
from tools.measurement.session import SessionError

_ID = "x-request-id"


class AppliedError(SessionError):
    """The journal cannot be read; the text says why."""


def of_journal(config_file: str, service: str, since: float) -> dict[str, float]:
    """Request id → UNIX seconds, of writes accepted at ``since`` (UNIX s) or later.

    One that is encrypted with a key that is not at hand is left out. Raises AppliedError.
    """
    conf = cfg.ConfigOpts()
    query = sa.select(*(column for column in WRITES.columns if "body" not in column.name)).where(
        WRITES.c.service == service,
        WRITES.c.state == WriteState.ANSWERED.value,
        WRITES.c.accepted_us >= round(since * 1_000_000),
    )
    try:
        setup.read(conf, [config_file])
        cipher = spool_of(conf).cipher
        with engine_of(conf).connect() as connection:
            rows = connection.execute(query).mappings().all()
    except (cfg.Error, JournalError, sa.exc.SQLAlchemyError, db_exc.DBError) as exc:
        raise AppliedError(str(exc)) from exc
    found: dict[str, float] = {}
    for row in rows:
        with contextlib.suppress(ValueError):  # encrypted: left out
            headers = record.read_headers(dict(row), cipher)
            found |= {v: row["ended_us"] / 1_000_000 for name, v in headers if name == _ID and v}
    return found
