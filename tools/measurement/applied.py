"""When the guest responded to writes whose client got a 202, from the journal of a cache node.

The journal keeps these writes with both instants (``[journal] keep_responses``). They are read from
its database, so the agent has no extra work during the measurement.
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
    """Request id → UNIX seconds, for writes accepted at ``since`` (UNIX seconds) or later.

    Writes that are encrypted with an unavailable key are left out. Raises AppliedError.
    """
    conf = cfg.ConfigOpts()
    query = sa.select(*(column for column in WRITES.columns if "body" not in column.name)).where(
        WRITES.c.service == service,
        WRITES.c.state == WriteState.RESPONDED.value,
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
