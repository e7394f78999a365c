"""Options of the journal: accepting, storing and replaying writes."""

from __future__ import annotations

from typing import Any

from oslo_config import cfg

GROUP = cfg.OptGroup("journal", title="The journal of writes: intake, storage, replay")

OPTS = [
    cfg.StrOpt(
        "connection",
        secret=True,
        help="SQLAlchemy URL of the database for the writes: SQLite, PostgreSQL "
        "(postgresql+psycopg2://) or MySQL/MariaDB (mysql+pymysql://). Unset: SQLite in the "
        "file journal.sqlite of [agent] state_dir, with write-ahead log and "
        "synchronous=FULL. Large bodies and the progress log are always in [agent] "
        "state_dir.",
    ),
    cfg.StrOpt(
        "encryption",
        default="none",
        choices=[
            ("none", "in the clear; configured keys still decrypt existing records"),
            ("file", "with the last key of key_file"),
            ("castellan", "with the last key of key_ids, from Barbican or Vault"),
        ],
        help="How writes (bodies, URLs, header fields, clients) and the guests' responses are "
        "encrypted on disk. The cipher is AES-256-GCM. A change affects new records only.",
    ),
    cfg.StrOpt(
        "key_file",
        help="File with one key per line: a name, a space, 32 bytes in base64. The last key "
        "encrypts; all keys decrypt. Only owner and group may read the file. To rotate keys, "
        "append one and restart the agent. Related: encryption.",
    ),
    cfg.ListOpt(
        "key_ids",
        default=[],
        help="Identifiers of 256-bit keys in the key manager that the [key_manager] section "
        "configures for castellan. The last key encrypts; all keys decrypt. To rotate keys, "
        "append one and restart the agent. This needs the extra nova-cachemig[castellan]. "
        "Related: encryption.",
    ),
    cfg.ListOpt(
        "lost_keys",
        default=[],
        help="Names of keys that no longer exist. If the journal needs a missing key that is not "
        "listed here, the agent does not start. Writes under a listed key are quarantined as "
        "damaged, and responses under it are lost.",
    ),
    cfg.StrOpt(
        "intake_socket",
        help="Path of the unix socket (mode 0600) on which the edge delivers writes. Unset: "
        "intake.sock in [agent] state_dir.",
    ),
    cfg.IntOpt(
        "max_body",
        default=1 << 30,
        min=1,
        help="Maximum size of a body in bytes. A larger one gets 413.",
    ),
    cfg.IntOpt(
        "spool_threshold",
        default=65536,
        min=1024,
        max=16 << 20,
        help="Size in bytes above which a body is stored in a separate file instead of the "
        "database and memory.",
    ),
    cfg.IntOpt(
        "max_waiting",
        default=200_000,
        min=1,
        help="Maximum number of writes per service that wait for the guest. Further writes get "
        "503 with Retry-After and are not accepted.",
    ),
    cfg.IntOpt(
        "max_waiting_bytes",
        default=4 << 30,
        min=1,
        help="Maximum size in bytes of the bodies that wait for the guest, per service. Further "
        "writes get 503 with Retry-After.",
    ),
    cfg.IntOpt(
        "min_free",
        default=64 << 20,
        min=0,
        help="Bytes that must be free in [agent] state_dir. Below this, new writes get 503 with "
        "Retry-After. The reserve lets the journal record the responses to writes that it "
        "has accepted.",
    ),
    cfg.FloatOpt(
        "hold_timeout",
        default=120.0,
        min=0.0,
        help="Seconds for which a client waits for the guest's response to a write. Then it gets "
        "202 with a status URL, and the write stays accepted.",
    ),
    cfg.FloatOpt(
        "body_timeout",
        default=60.0,
        min=0.1,
        help="Seconds without a byte of a request after which the intake gives up the client. "
        "Nothing of the request is accepted.",
    ),
    cfg.FloatOpt(
        "answer_timeout",
        default=600.0,
        min=0.1,
        help="Seconds without a byte from a reachable guest after which its connection counts as "
        "lost and the write in flight as in doubt.",
    ),
    cfg.IntOpt(
        "max_answer",
        default=64 << 20,
        min=0,
        help="Maximum size in bytes of a guest's response that is passed on. Of a larger one, "
        "only status and headers are kept, and the write counts as done.",
    ),
    cfg.IntOpt(
        "keep_answers",
        default=86400,
        min=1,
        help="Seconds for which a write is kept after its response: for its status URL, and for "
        "repeated requests with the same Idempotency-Key.",
    ),
    cfg.IntOpt(
        "send_window",
        default=64,
        min=1,
        max=4096,
        help="Number of writes per service that may be sent after one durable mark. After a crash "
        "of the agent, only the writes in flight are in doubt (see parallel). After a power "
        "failure, up to this many are in doubt, and those that must not be sent twice are "
        "quarantined. With 1, the replay of a backlog costs one fsync per write. A service "
        "that honours keys uses at least 1024, because repetition does no harm there.",
    ),
    cfg.IntOpt(
        "pipeline",
        default=16,
        min=1,
        max=256,
        help="Maximum number of writes in flight on one connection to the guest, in the order of "
        "acceptance. No write follows one that must not be sent twice, nor another to the "
        "same URL unless the service honours keys. Pipelining needs a guest that keeps "
        "connections open and responds within 20 ms. After a broken connection, the guest "
        "gets one write at a time. 1: no pipelining.",
    ),
    cfg.FloatOpt(
        "resume_delay",
        deprecated_name="settle",
        default=1.0,
        min=0.0,
        help="Seconds to wait after a guest becomes reachable, if the agent died with writes in "
        "flight to it. The guest may still process them, and later writes must not overtake "
        "them.",
    ),
    cfg.IntOpt(
        "parallel",
        default=1,
        min=1,
        max=1024,
        help="Maximum number of writes in flight to one guest on several connections. 1: the "
        "total order of acceptance. Higher values are for guests with slow writes: writes "
        "leave in order but can overtake each other. Writes of one client, and idempotent "
        "writes to one URL, always keep their order. The same holds for writes of a service "
        "that responds with 202, and for writes that were found on disk after a restart.",
    ),
    cfg.StrOpt(
        "replay_source",
        help="Source address of the agent's connections to guests. Unset: the system chooses.",
    ),
    cfg.FloatOpt(
        "reuse_idle",
        default=1.0,
        min=0.0,
        help="Seconds for which an idle connection to a guest is used again. With a longer time, "
        "the guest may close it just when a write is sent, which leaves the write in doubt.",
    ),
]


def register(conf: cfg.ConfigOpts) -> None:
    """Register the options with ``conf``."""
    # A separate group object: oslo.config copies an OptGroup shallowly and would share overrides.
    conf.register_group(cfg.OptGroup(GROUP.name, title=GROUP.title))
    conf.register_opts(OPTS, group=GROUP.name)


def list_opts() -> list[tuple[Any, list[Any]]]:
    """Return the options for the sample generator."""
    return [(GROUP, OPTS)]
