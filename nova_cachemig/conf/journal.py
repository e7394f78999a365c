"""Options of the journal: what is accepted, how it is kept, how it is sent to the guest."""

from __future__ import annotations

from typing import Any

from oslo_config import cfg

GROUP = cfg.OptGroup("journal", title="The journal of writes: intake, storage, replay")

OPTS = [
    cfg.StrOpt(
        "connection",
        secret=True,
        help="SQLAlchemy URL of the database that keeps the writes: SQLite, PostgreSQL "
        "(postgresql+psycopg2://) or MySQL/MariaDB (mysql+pymysql://). Unset: SQLite in the file "
        "journal.sqlite of [agent] state_dir, with write-ahead log and synchronous=FULL. "
        "Related: [agent] state_dir, which holds large bodies and the progress log in any case.",
    ),
    cfg.StrOpt(
        "encryption",
        default="none",
        choices=[
            ("none", "in the clear; keys that are named all the same read what was encrypted"),
            ("file", "with the last key of key_file"),
            ("castellan", "with the last key of key_ids, from Barbican or Vault"),
        ],
        help="How bodies, URLs, header fields and clients of writes, and the guests' answers, are "
        "encrypted on disk (AES-256-GCM). Takes effect for what is accepted from then on.",
    ),
    cfg.StrOpt(
        "key_file",
        help="File of keys, one a line: a name, a space, 32 bytes in base64. The last one "
        "encrypts; all of them decrypt. Others than owner and group may not read it. To rotate, "
        "append a key and restart the agent. Related: encryption.",
    ),
    cfg.ListOpt(
        "key_ids",
        default=[],
        help="Identifiers of 256-bit keys in the key manager that castellan's [key_manager] "
        "section names. The last one encrypts; all of them decrypt. To rotate, append one and "
        "restart the agent. Needs the extra nova-cachemig[castellan]. Related: encryption.",
    ),
    cfg.ListOpt(
        "lost_keys",
        default=[],
        help="Names of keys that are gone for good. The agent does not start while its journal "
        "needs a key that it has not; for those named here it does: writes encrypted with them "
        "are set aside as damaged, answers count as gone.",
    ),
    cfg.StrOpt(
        "intake_socket",
        help="Path of the unix socket (mode 0600) on which the edge hands over writes. "
        "Unset: intake.sock in [agent] state_dir.",
    ),
    cfg.IntOpt(
        "max_body",
        default=1 << 30,
        min=1,
        help="Bytes of the largest body that is accepted. A larger one gets 413.",
    ),
    cfg.IntOpt(
        "spool_threshold",
        default=65536,
        min=1024,
        max=16 << 20,
        help="Bytes above which a body is kept in a file of its own and not in the database "
        "nor in memory.",
    ),
    cfg.IntOpt(
        "max_waiting",
        default=200_000,
        min=1,
        help="Writes of one service that may wait for its guest. The next gets 503 with "
        "Retry-After, before it is accepted.",
    ),
    cfg.IntOpt(
        "max_waiting_bytes",
        default=4 << 30,
        min=1,
        help="Bytes of the bodies of one service that may wait for its guest, then 503 as above.",
    ),
    cfg.IntOpt(
        "min_free",
        default=64 << 20,
        min=0,
        help="Bytes that must be free in [agent] state_dir. Below, new writes get 503 with "
        "Retry-After, so that what is accepted already can still be marked as answered.",
    ),
    cfg.FloatOpt(
        "hold_timeout",
        default=120.0,
        min=0.0,
        help="Seconds for which a client waits for the guest's own answer. Then it gets 202 "
        "with a status URL; the write stays accepted.",
    ),
    cfg.FloatOpt(
        "body_timeout",
        default=60.0,
        min=0.1,
        help="Seconds without a byte of a request after which its client is given up. Nothing of "
        "it is accepted.",
    ),
    cfg.FloatOpt(
        "answer_timeout",
        default=600.0,
        min=0.1,
        help="Seconds without a byte from the guest, while it is said to answer, after which its "
        "connection counts as lost and the write in flight as in doubt.",
    ),
    cfg.IntOpt(
        "max_answer",
        default=64 << 20,
        min=0,
        help="Bytes of the largest answer of a guest that is passed on. Of a larger one, only "
        "status and headers are kept: its write counts as answered.",
    ),
    cfg.IntOpt(
        "keep_answers",
        default=86400,
        min=1,
        help="Seconds for which an answered write and its answer are kept: for status URLs and "
        "for requests that come again with the same Idempotency-Key.",
    ),
    cfg.IntOpt(
        "send_window",
        default=64,
        min=1,
        max=4096,
        help="Writes of one service that may be sent after one durable mark. A crash of the agent "
        "leaves as many in doubt as were in flight (see parallel); a power failure of the node up "
        "to this many, of which those that may not be sent twice are set aside. 1 costs one fsync "
        "a write when a backlog is replayed. A service that honours keys has at least 1024: there, "
        "sending twice does no harm.",
    ),
    cfg.IntOpt(
        "pipeline",
        default=16,
        min=1,
        max=256,
        help="Writes that may be on their way to the guest on one connection, one behind the "
        "other, in the order of acceptance. None goes behind one that may not be sent twice, nor "
        "behind another to its URL unless the service honours keys, and only to a guest that "
        "keeps connections open and answers within 20 ms; if it breaks one off, it gets one write "
        "at a time. 1: never.",
    ),
    cfg.FloatOpt(
        "settle",
        default=1.0,
        min=0.0,
        help="Seconds for which nothing is sent to a guest that answers, if the agent died while "
        "writes were on their way to it: the guest may still deal with them, and later ones must "
        "not overtake them.",
    ),
    cfg.IntOpt(
        "parallel",
        default=1,
        min=1,
        max=1024,
        help="Writes in flight to one guest at a time. 1: the total order of acceptance. More, "
        "for guests that take long for a write: they leave in that order, but on several "
        "connections; writes of one client, idempotent writes to one URL, all writes of a service "
        "that answers 202, and what is found on disk after a restart keep the order strictly.",
    ),
    cfg.StrOpt(
        "replay_source",
        help="Own source address for connections to guests, so that others can tell them apart. "
        "Unset: the system chooses.",
    ),
    cfg.FloatOpt(
        "reuse_idle",
        default=1.0,
        min=0.0,
        help="Seconds for which an idle connection to a guest is used again. Longer risks that "
        "the guest closes it at the instant at which a write goes out, which leaves it in doubt.",
    ),
]


def register(conf: cfg.ConfigOpts) -> None:
    """Make the options known to ``conf``."""
    # A group of its own: oslo.config copies an OptGroup shallowly, so overrides would be shared.
    conf.register_group(cfg.OptGroup(GROUP.name, title=GROUP.title))
    conf.register_opts(OPTS, group=GROUP.name)


def list_opts() -> list[tuple[Any, list[Any]]]:
    """Return the options for the sample generator."""
    return [(GROUP, OPTS)]
