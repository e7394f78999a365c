"""Facts about the journal for diagnosis, read beside a running agent. Takes no lock."""

from __future__ import annotations

import dataclasses

import sqlalchemy as sa
from alembic.runtime.migration import MigrationContext
from oslo_config import cfg
from oslo_db import exception as db_exc

from nova_cachemig.agent.journal import keyring
from nova_cachemig.agent.journal.database import cause_of
from nova_cachemig.agent.journal.errors import JournalError
from nova_cachemig.agent.journal.migrate import HEAD
from nova_cachemig.agent.journal.offline import engine_of
from nova_cachemig.agent.journal.schema import CIPHER_KEYS


@dataclasses.dataclass(frozen=True, slots=True)
class Schema:
    """``found``: the revision of the tables; None without tables. ``newest``: this version's."""

    found: str | None
    newest: str = HEAD


@dataclasses.dataclass(frozen=True, slots=True)
class Keys:
    """Names of keys. ``missing`` and ``wrong`` encrypted something in the journal earlier."""

    available: tuple[str, ...]
    missing: tuple[str, ...]
    wrong: tuple[str, ...]


def schema(conf: cfg.ConfigOpts) -> Schema:
    """Return the revision of the journal's tables. Raises JournalError."""
    engine = engine_of(conf)
    try:
        with engine.connect() as connection:
            return Schema(MigrationContext.configure(connection).get_current_revision())
    except (sa.exc.SQLAlchemyError, db_exc.DBError) as exc:
        raise JournalError(f"cannot read the journal's database: {cause_of(exc)}") from exc
    finally:
        engine.dispose()


def keys(conf: cfg.ConfigOpts) -> Keys:
    """Compare the configured keys with those of the journal. Raises JournalError."""
    cipher = keyring.load(conf)
    engine = engine_of(conf)
    try:
        with engine.connect() as connection:
            exists = sa.inspect(connection).has_table(CIPHER_KEYS.name)  # since revision 0002
            rows = connection.execute(sa.select(CIPHER_KEYS)).all() if exists else []
    except (sa.exc.SQLAlchemyError, db_exc.DBError) as exc:
        raise JournalError(f"cannot read the journal's keys: {cause_of(exc)}") from exc
    finally:
        engine.dispose()
    used = {str(row.key_id): bytes(row.proof) for row in rows}
    given_up = set(conf.journal.lost_keys)
    known = [name for name in used if name in cipher.key_ids]
    return Keys(
        available=tuple(sorted(cipher.key_ids)),
        missing=tuple(sorted(set(used) - set(known) - given_up)),
        wrong=tuple(sorted(name for name in known if not cipher.proves(name, used[name]))),
    )
