"""The tables. A change here needs an alembic revision in ``migrations/versions``."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from sqlalchemy.dialects import mysql

METADATA: Final = sa.MetaData()

# MySQL's BLOB and TEXT end at 64 KiB.
_BLOB = sa.LargeBinary().with_variant(mysql.LONGBLOB(), "mysql", "mariadb")
_TEXT = sa.Text().with_variant(mysql.LONGTEXT(), "mysql", "mariadb")

METHOD_LENGTH: Final = 255
HOST_LENGTH: Final = 2048
# SQLite has no lengths; its tables keep the former ones.
_METHOD = sa.String(METHOD_LENGTH).with_variant(sa.String(32), "sqlite")
_HOST = sa.String(HOST_LENGTH).with_variant(sa.String(512), "sqlite")
NAME_LENGTH: Final = 190  # of a service name: the limit of a MySQL key with utf8mb4

# One row per write. Times are whole microseconds since 1970: the checksum covers them, and not
# every database returns a float unchanged.
WRITES: Final = sa.Table(
    "writes",
    METADATA,
    sa.Column("service", sa.String(NAME_LENGTH), primary_key=True),
    sa.Column("position", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("state", sa.String(10), nullable=False),
    sa.Column("accepted_us", sa.BigInteger, nullable=False),
    sa.Column("method", _METHOD, nullable=False),
    sa.Column("url", _TEXT, nullable=False),
    sa.Column("host", _HOST, nullable=False),
    sa.Column("headers", _TEXT, nullable=False),  # format: agent/journal/record.py
    sa.Column("body", _BLOB),  # NULL if it is in a spool file
    sa.Column("spool", sa.String(64)),
    sa.Column("spool_digest", sa.LargeBinary(16)),
    sa.Column("length", sa.BigInteger, nullable=False),
    sa.Column("client", _TEXT, nullable=False),
    sa.Column("idempotency_key", _TEXT),
    sa.Column("flags", sa.Integer, nullable=False),  # bits: agent/journal/record.py
    sa.Column("wants_later", sa.Boolean, nullable=False),
    # Name of the key that encrypts url, headers, client, key and body; NULL: no encryption. url,
    # client and idempotency_key are empty then; headers contains them.
    sa.Column("key_id", sa.String(64)),
    sa.Column("checksum", sa.LargeBinary(8), nullable=False),
    sa.Column("ended_us", sa.BigInteger),
    sa.Column("note", _TEXT),  # why it is quarantined, for the operator
    sa.Column("status", sa.Integer),
    sa.Column("response_headers", _TEXT),
    sa.Column("response_body", _BLOB),
    sa.Column("response_spool", sa.String(64)),
    sa.Column("response_length", sa.BigInteger),
    sa.Column("response_key_id", sa.String(64)),  # like key_id, for the response
    sa.Column("moved_to", sa.BigInteger),  # the position at which the operator let it be sent again
    sa.Index("ix_writes_state", "state", "service", "position"),
    mysql_engine="InnoDB",
    mysql_charset="utf8mb4",
    # utf8mb4's default collation ignores case, but service names are compared as bytes.
    mysql_collate="utf8mb4_bin",
)

# One row: the agent that owns the database. See agent/journal/owner.py.
OWNER: Final = sa.Table(
    "owner",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("generation", sa.BigInteger, nullable=False),  # raised by each new owner
    sa.Column("holder", sa.String(255)),  # where it runs; NULL: it has stopped
    mysql_engine="InnoDB",
    mysql_charset="utf8mb4",
    mysql_collate="utf8mb4_bin",
)

# One row per service. ``through`` is the send limit: writes up to it may have been sent.
SERVICES: Final = sa.Table(
    "services",
    METADATA,
    sa.Column("service", sa.String(NAME_LENGTH), primary_key=True),
    sa.Column("through", sa.BigInteger, nullable=False),
    sa.Column("secret", sa.LargeBinary(32), nullable=False),  # makes status URLs unguessable
    mysql_engine="InnoDB",
    mysql_charset="utf8mb4",
    mysql_collate="utf8mb4_bin",
)

# Idempotency keys chosen by clients: the same key with the same request gets the same response.
KEYS: Final = sa.Table(
    "idempotency_keys",
    METADATA,
    sa.Column("service", sa.String(NAME_LENGTH), primary_key=True),
    sa.Column("digest", sa.String(32), primary_key=True),  # of key and login
    sa.Column("position", sa.BigInteger, nullable=False),
    sa.Column("fingerprint", sa.String(32), nullable=False),  # of the request and its client
    sa.Column("accepted_us", sa.BigInteger, nullable=False),
    mysql_engine="InnoDB",
    mysql_charset="utf8mb4",
    mysql_collate="utf8mb4_bin",
)

# Encryption keys in use. The proof distinguishes a key from another key of the same name.
CIPHER_KEYS: Final = sa.Table(
    "cipher_keys",
    METADATA,
    sa.Column("key_id", sa.String(64), primary_key=True),
    sa.Column("proof", sa.LargeBinary(128), nullable=False),
    mysql_engine="InnoDB",
    mysql_charset="utf8mb4",
    mysql_collate="utf8mb4_bin",
)

HANDOVERS: Final = sa.Table(
    "handovers",
    METADATA,
    sa.Column("instance", sa.String(64), primary_key=True),
    sa.Column("request", sa.String(128), primary_key=True),
    sa.Column("started", sa.Float(53), nullable=False, index=True),
    sa.Column("unfinished", sa.Boolean, nullable=False, index=True),
    sa.Column("record", _TEXT, nullable=False),  # HandoverRecord.to_wire() as JSON
    mysql_engine="InnoDB",
    mysql_charset="utf8mb4",
    mysql_collate="utf8mb4_bin",
)
