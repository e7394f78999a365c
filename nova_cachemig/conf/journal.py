"""Options of the journal: how writes are accepted, stored, and sent to the guest."""

from __future__ import annotations

from typing import Any

from oslo_config import cfg

from nova_cachemig.conf.sizes import Size

GROUP = cfg.OptGroup("journal", title="The journal of writes: intake, storage, replay")

_STORAGE = [
    cfg.StrOpt(
        "connection",
        secret=True,
        help="SQLAlchemy URL of the journal's database: SQLite, PostgreSQL "
        "(postgresql+psycopg2://) or MySQL/MariaDB (mysql+pymysql://). Unset: SQLite in the file "
        "journal.sqlite of [agent] state_dir, with a write-ahead log and synchronous=FULL. "
        "[agent] state_dir holds large bodies and the progress log in any case. One agent uses a "
        "database at a time: its lock needs a connection to one server for the whole time, and "
        "a pooler must not share connections between transactions.",
    ),
    cfg.StrOpt(
        "encryption",
        default="none",
        choices=[
            ("none", "not encrypted; configured keys still decrypt older records"),
            ("file", "with the last key of key_file"),
            ("castellan", "with the last key of key_ids, from Barbican or Vault"),
        ],
        help="How bodies, URLs, header fields and clients of writes, and the guests' responses, "
        "are encrypted on disk (AES-256-GCM). A change applies to new records only. Related: "
        "key_file, key_ids, lost_keys.",
    ),
    cfg.StrOpt(
        "key_file",
        help="File of keys, one per line: a name, a space, and 32 bytes in base64. The last key "
        "encrypts; all keys decrypt. Only the owner and the group may read the file. To rotate "
        "keys, append a key and restart the agent. Related: encryption.",
    ),
    cfg.ListOpt(
        "key_ids",
        default=[],
        help="Identifiers of 256-bit keys in the key manager of castellan's [key_manager] group. "
        "The last key encrypts; all keys decrypt. To rotate keys, append an identifier and "
        "restart the agent. Needs the extra nova-cachemig[castellan]. Related: encryption.",
    ),
    cfg.ListOpt(
        "lost_keys",
        default=[],
        help="Names of keys that are lost for good. Normally the agent does not start without a "
        "key that its journal needs. With the key listed here it starts: writes encrypted with "
        "that key go to quarantine as damaged, and responses are discarded.",
    ),
    cfg.Opt(
        "spool_threshold",
        type=Size(minimum=1 << 10, maximum=16 << 20),
        default="64k",
        help="Size above which a body is kept in a file of its own instead of the database and "
        "memory, in bytes, or with k, m or g.",
    ),
    cfg.Opt(
        "min_free",
        type=Size(),
        default="64m",
        help="Free space that [agent] state_dir must have, in bytes, or with k, m or g. With less, "
        "new writes get 503 with Retry-After, so that the responses to accepted writes can still "
        "be recorded. 0: accept writes until the disk is full.",
    ),
    cfg.IntOpt(
        "keep_responses",
        deprecated_name="keep_answers",
        default=86400,
        min=1,
        help="Seconds for which the journal keeps a write and its response after the response "
        "arrived: for status URLs and for repeated requests with the same Idempotency-Key. "
        "Related: max_kept.",
    ),
    cfg.Opt(
        "max_kept",
        type=Size(minimum=1),
        default="64m",
        help="Limit of the total size of the responses that are kept for one service, in bytes, or "
        "with k, m or g. Above it the oldest ones lose their bodies. Related: keep_responses.",
    ),
]

_INTAKE = [
    cfg.StrOpt(
        "intake_socket",
        help="Path of the unix socket (mode 0600) to which the edge sends writes. Unset: "
        "intake.sock in [agent] state_dir. Beside it is a second socket, whose name ends in .alive "
        "instead. The edge asks there whether the agent works.",
    ),
    cfg.Opt(
        "max_body",
        type=Size(),
        default="0",
        help="Size of the largest body that is accepted, in bytes, or with k, m or g. A larger "
        "one gets 413. 0: only max_waiting_bytes and the disk limit it.",
    ),
    cfg.IntOpt(
        "max_waiting",
        default=200_000,
        min=1,
        help="Limit of accepted writes of one service that wait for its guest. Further writes get "
        "503 with Retry-After and are not accepted. Related: max_waiting_bytes.",
    ),
    cfg.Opt(
        "max_waiting_bytes",
        type=Size(minimum=1),
        default="4g",
        help="Limit of the total size of the bodies of such writes, in bytes, or with k, m or g, "
        "including those that are arriving. A larger body gets 413. Related: max_waiting.",
    ),
    cfg.FloatOpt(
        "hold_timeout",
        default=120.0,
        min=0.0,
        help="Seconds for which a client waits for the guest's response to its write. After that "
        "it gets 202 with a status URL; the write stays accepted. 0: it gets 202 immediately. "
        "Related: [engine] hold_timeout for reads.",
    ),
    cfg.FloatOpt(
        "body_timeout",
        default=3600.0,
        min=0.1,
        help="Seconds without a byte from a client that sends a request after which the agent "
        "closes the connection. Nothing of the request is accepted. After 10 seconds without a "
        "byte, no room is reserved for the rest of the body. Related: [engine] client_timeout.",
    ),
]

_REPLAY = [
    cfg.FloatOpt(
        "response_timeout",
        deprecated_name="answer_timeout",
        default=600.0,
        min=0.1,
        help="Seconds without a byte from a reachable guest after which the agent closes the "
        "connection. A write in flight on it that must not be sent twice is then in doubt.",
    ),
    cfg.FloatOpt(
        "response_time",
        default=300.0,
        min=0.1,
        help="Seconds from the first to the last byte of a reachable guest's response for which "
        "later writes of the service wait. After that only the status and the headers are kept, "
        "and a client that waits gets the rest as it arrives. If the guest has not completed the "
        "headers, the client gets 502. Related: response_timeout.",
    ),
    cfg.IntOpt(
        "resend_tries",
        default=5,
        min=1,
        help="How often a write that may be sent twice is sent, if the guest closes the connection "
        "each time before its response. The pauses between the tries grow from 0.2 s to 3 s. After "
        "the last try the write is in doubt, and the later writes follow. A try during which the "
        "guest was silent does not count. 1: no write is sent again. Related: resend_time.",
    ),
    cfg.FloatOpt(
        "resend_time",
        default=30.0,
        min=0.0,
        help="Seconds for which such a write is sent again, after the first connection broke. Also "
        "the seconds for which the agent sends a keyed write again to a guest that responds 409 "
        "with Retry-After, because it still processes the first try. After that the client gets "
        "the 409. Later writes of the service wait meanwhile. Related: resend_tries.",
    ),
    cfg.Opt(
        "max_response",
        deprecated_name="max_answer",
        type=Size(),
        default="64m",
        help="Size of the largest body of a guest's response that is kept, in bytes, or with k, m "
        "or g. Of a larger response, only the status and the headers are kept. A client that waits "
        "gets its body as it arrives. 0: no body is kept.",
    ),
    cfg.IntOpt(
        "send_window",
        default=64,
        min=1,
        max=4096,
        help="Writes of one service that may be sent after one durable mark in the journal. After "
        "a power failure of the node, it is unknown which of them were sent, and those that must "
        "not be sent twice are in doubt. After a crash of the agent, only writes in flight can be "
        "in doubt. 1: one fsync per write during the replay. A service that honours keys has a "
        "window of at least 1024, because there a repeated write does no harm.",
    ),
    cfg.IntOpt(
        "pipeline",
        default=16,
        min=1,
        max=256,
        help="Limit of writes in flight on one connection, in the order of acceptance (HTTP "
        "pipelining). No write follows one that must not be sent twice, nor another write to "
        "its own URL unless the service recognizes it by its key. A guest gets pipelined writes "
        "only if it keeps connections open and responds within 20 ms; after it closes such a "
        "connection, it gets one write at a time. 1: no pipelining.",
    ),
    cfg.FloatOpt(
        "resume_delay",
        deprecated_name="settle",
        default=1.0,
        min=0.0,
        help="Seconds from the guest's return to the first write, if the agent crashed while "
        "writes of the service were in flight. The guest may still process these writes, and "
        "later ones must not overtake them. 0: no delay. Without such a crash, nothing is delayed.",
    ),
    cfg.IntOpt(
        "parallel",
        default=1,
        min=1,
        max=1024,
        help="Limit of simultaneous writes to one guest, each on its own connection. 1: the guest "
        "gets the writes in the order of acceptance. A larger value helps guests that take long "
        "to apply a write. Writes still start in that order. Writes of one client, and idempotent "
        "writes to one URL, keep it strictly. The same holds for all writes of a service that "
        "responds with 202, and for writes that a restarted agent found on disk.",
    ),
    cfg.StrOpt(
        "replay_source",
        help="Source address of connections to guests, so that a firewall can recognize them. "
        "Unset: the system chooses it.",
    ),
    cfg.FloatOpt(
        "reuse_idle",
        default=1.0,
        min=0.0,
        help="Most seconds for which an idle connection to a guest may be reused. The agent reuses "
        "one for half of the time that the guest announces in Keep-Alive, or was seen to keep an "
        "idle connection open. Otherwise the guest could close it just when a write is sent, and "
        "a write that must not be sent twice would be in doubt. 0: a new connection for each "
        "write.",
    ),
]

OPTS = _STORAGE + _INTAKE + _REPLAY


def register(conf: cfg.ConfigOpts) -> None:
    """Register the options with ``conf``."""
    # A separate group object: oslo.config copies an OptGroup shallowly and would share overrides.
    conf.register_group(cfg.OptGroup(GROUP.name, title=GROUP.title))
    conf.register_opts(OPTS, group=GROUP.name)


def list_opts() -> list[tuple[Any, list[Any]]]:
    """Return the options for the sample generator."""
    return [(GROUP, OPTS)]
