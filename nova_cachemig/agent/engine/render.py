"""Renders the engines' files from the templates beside this module."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import jinja2
from oslo_config import cfg

from nova_cachemig.agent.engine import capacity, names, shares
from nova_cachemig.agent.engine.accesslog import (
    LOG_FORMAT,
    MAX_HABIT,
    MAX_LINE_LENGTH,
    SAMPLE_ONE_IN,
)
from nova_cachemig.agent.ports import alive_socket
from nova_cachemig.model import methods, sharing
from nova_cachemig.model.naming import MAX_HOST_NAME
from nova_cachemig.model.write import STATUS_PREFIX

TEMPLATES = Path(__file__).parent / "templates"

MAX_TURN_WAIT = 500
"""Milliseconds that a read waits at most until the guest has fewer reads to respond to."""

END_WITHIN = 100
"""Milliseconds: a response without a length that ends by then may go to Varnish."""

STORE_INTERVAL = 10
"""Seconds between two responses to users that are stored for a page while armed. Without an
interval, each read would leave one more copy in the cache."""

REPLACED_FOR = 60
"""Seconds for which the cache keeps a page that a newer one replaces: the guest may be paused
before the newer one is complete, or respond with an error."""

UNSTORED_FOR = 3600
"""Seconds for which a page that may not be stored hides a copy from the time when it might."""

PASSED_ON = 64 << 10
"""Bytes of the largest response that passes through Varnish although it may not be stored."""

MAX_PREFLIGHT = 8192
"""Bytes of the largest response to a preflight of CORS that the edge keeps."""

MAX_HEAD = 36864
"""Bytes of a request's URL and header fields. HAProxy refuses more than 45,056 with 400."""

MAX_HEADERS = 256
"""Header fields of a request."""

MAX_STREAMS = 1000
"""Requests at a time on one connection with HTTP/2."""

LOGOUT = (
    "(log|sign|session)[-_.]?(out|off|end)|(end|destroy|close)[-_]?session|abmelden|ausloggen|"
    "deconnexion|cerrar[-_]?sesion|uitloggen|afmelden|loggaut|logg[-_]?(ut|ud)|wyloguj"
)
"""A pattern of URLs whose GET ends a session. Such a GET counts as a write of its client."""

SECOND_TRY = 1000
"""Milliseconds for which the second try of a read repeats connection attempts. Then the edge looks
once more whether the guest is silent, and whether a page is stored."""

MAPS = ("routes", "targets", "fronts", "cookies", "state", "pending", "epochs", "policies")


@dataclasses.dataclass(frozen=True, slots=True)
class Paths:
    """The paths of the engines' files and sockets."""

    root: Path

    @property
    def haproxy_cfg(self) -> Path:
        """HAProxy's configuration."""
        return self.root / "haproxy.cfg"

    @property
    def lua(self) -> Path:
        """HAProxy's Lua script."""
        return self.root / "edge.lua"

    @property
    def vcl(self) -> Path:
        """Varnish's configuration."""
        return self.root / "cache.vcl"

    @property
    def varnish_dir(self) -> Path:
        """Varnish's working directory."""
        return self.root / "varnish"

    def map(self, name: str) -> Path:
        """Return the file of a map."""
        return self.root / f"{name}.map"

    def socket(self, name: str) -> Path:
        """Return a unix socket, one of _SOCKETS."""
        return self.root / f"{name}.sock"


_SCRIPTS = (
    *("edge.lua", "writers.lua", "front.lua", "policy.lua", "sharing.lua", "bound.lua"),
    "preflight.lua",
)
IDENTITY = "cachemig"
"""The name of Varnish in Via."""

_SOCKETS = ("admin", "held", "again", "late", "journal", "guest", "fill", "cache", "varnish")


def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # not HTML, and every value is checked by the callers
    )


def _values(
    conf: cfg.ConfigOpts, paths: Paths, intake_socket: str, binds: int = 0
) -> dict[str, object]:
    opts = conf.engine
    sockets = {name: str(paths.socket(name)) for name in _SOCKETS}
    return {
        **{key: opts[key] for key in opts},
        "capacity": capacity.for_clients(opts.max_clients, capacity.open_file_limit(), binds),
        "sockets": {**sockets, "intake": intake_socket, "alive": alive_socket(intake_socket)},
        "maps": {name: str(paths.map(name)) for name in MAPS},
        "files": {"lua": str(paths.lua)},
        "identity": IDENTITY,
        "logout": LOGOUT,
        "max_head": MAX_HEAD,
        "max_preflight": MAX_PREFLIGHT,
        "max_headers": MAX_HEADERS,
        "max_streams": MAX_STREAMS,
        "safe_methods": " ".join(methods.SAFE),
        "destination_methods": " ".join(methods.TO_DESTINATION),
        "max_host": MAX_HOST_NAME + len(":65535"),
        "status_prefix": STATUS_PREFIX,
        "log_length": MAX_LINE_LENGTH,
        "log_format": LOG_FORMAT,
        "max_habit": MAX_HABIT,
        "sample_one_in": SAMPLE_ONE_IN,
        "ring_size": 4 << 20,
        "hard_stop": opts.hold_timeout + opts.connect_patience,
        "stream_from": 1 << 20,
        "store_interval": STORE_INTERVAL,
        "end_within": END_WITHIN,
        "sample_from": opts.sample_from,
        "replaced_for": REPLACED_FOR,
        "unstored_for": UNSTORED_FOR,
        "refresh_min_age": 30,  # seconds; the warmer refreshed popular pages until the pause
        "shares": shares.shares(opts.cache_size),
        "passed_on": PASSED_ON,
        "connect_retries": -(-opts.connect_patience * 1000 // opts.connect_timeout),
        "again_retries": -(-SECOND_TRY // opts.fetch_connect_timeout),
        "fetch_retries": -(-opts.connect_patience * 1000 // opts.fetch_connect_timeout),
    }


def haproxy(conf: cfg.ConfigOpts, paths: Paths, intake_socket: str, binds: Sequence[str]) -> str:
    """Return HAProxy's configuration for these front addresses."""
    values = _values(conf, paths, intake_socket, len(set(binds)))
    return (
        _environment()
        .get_template("haproxy.cfg.j2")
        .render(values, binds=[names.proxies_of(bind) for bind in sorted(binds)])
    )


def varnish(conf: cfg.ConfigOpts, paths: Paths) -> str:
    """Return Varnish's configuration, the same for all services."""
    return _environment().get_template("cache.vcl.j2").render(_values(conf, paths, "none"))


def lua(conf: cfg.ConfigOpts, paths: Paths) -> str:
    """Return the Lua script that holds requests and reads policies."""
    paths_of_maps = {
        "STATE_MAP": paths.map("state"),
        "PENDING_MAP": paths.map("pending"),
        "COOKIES_MAP": paths.map("cookies"),
        "EPOCHS_MAP": paths.map("epochs"),
        "POLICIES_MAP": paths.map("policies"),
    }
    lines = [f'local {name} = "{path}"' for name, path in paths_of_maps.items()]
    lines += [
        f"local MAX_HOLD_MILLISECONDS = {conf.engine.hold_timeout * 1000}",
        f"local MAX_FETCHES = {conf.engine.fetches_on_return}",
        f"local MAX_TURN_MILLISECONDS = {MAX_TURN_WAIT}",
        f"local STORE_MILLISECONDS = {STORE_INTERVAL * 1000}",
        f"local MAX_PREFLIGHT = {MAX_PREFLIGHT}",
        f"local MAX_EPOCHS = {names.MAX_EPOCHS}",
        f'local NEUTRAL_HEADERS = "{" ".join(sharing.NEUTRAL)}"',
        f'local IDENTIFYING_HEADERS = "{" ".join(sharing.IDENTIFYING)}"',
        f'local ORDINARY_HEADERS = "{" ".join(sharing.ORDINARY)}"',
        f"local NEVER_NEUTRAL = {{{_lua_set(sharing.NEVER_NEUTRAL)}}}",
    ]
    scripts = [(TEMPLATES / name).read_text() for name in _SCRIPTS]
    return "\n".join([*lines, "", *scripts])


def _lua_set(keys: Iterable[str]) -> str:
    return ", ".join(f'["{key}"] = true' for key in sorted(keys))


def map_text(entries: Mapping[str, str]) -> str:
    """Return the text of a map's file. :mod:`names` made the keys and values single words."""
    return "".join(f"{key} {value}\n" for key, value in entries.items())
