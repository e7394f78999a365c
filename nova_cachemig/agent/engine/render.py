"""The engines' files, from the templates beside this module."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

import jinja2
from oslo_config import cfg

from nova_cachemig.agent.engine import capacity
from nova_cachemig.agent.engine.accesslog import LINE_LENGTH, LOG_FORMAT

TEMPLATES = Path(__file__).parent / "templates"

TURN_MILLISECONDS = 500  # for which a read waits at most until fewer are with the guest

MAPS = ("routes", "targets", "cookies", "state", "pending", "epochs")


@dataclasses.dataclass(frozen=True, slots=True)
class Paths:
    """Everything that the engines have on disk."""

    root: Path

    @property
    def haproxy_cfg(self) -> Path:
        """HAProxy's configuration."""
        return self.root / "haproxy.cfg"

    @property
    def lua(self) -> Path:
        """HAProxy's Lua."""
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
        """A map of HAProxy's."""
        return self.root / f"{name}.map"

    def socket(self, name: str) -> Path:
        """A unix socket: admin, held, late, guest, cache, varnish."""
        return self.root / f"{name}.sock"


_SOCKETS = ("admin", "held", "late", "guest", "cache", "varnish")


def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # no HTML, and every value is checked before it gets here
    )


def _values(conf: cfg.ConfigOpts, paths: Paths, intake_socket: str) -> dict[str, object]:
    opts = conf.engine
    sockets = {name: str(paths.socket(name)) for name in _SOCKETS}
    return {
        **{key: opts[key] for key in opts},
        "limits": capacity.connections(opts.max_clients, capacity.hard_limit()),
        "sockets": {**sockets, "intake": intake_socket},
        "maps": {name: str(paths.map(name)) for name in MAPS},
        "files": {"lua": str(paths.lua)},
        "log_length": LINE_LENGTH,
        "log_format": LOG_FORMAT,
        "ring_size": 4 << 20,
        "hard_stop": opts.hold_timeout + opts.connect_patience,
        "stream_from": 1 << 20,
        "spare_refresh": 30,  # seconds: popular pages were refreshed until the guest was paused
        "max_object": opts.max_object << 20,
        "connect_retries": -(-opts.connect_patience * 1000 // opts.connect_timeout),
        "fetch_retries": -(-opts.connect_patience * 1000 // opts.fetch_connect_timeout),
    }


def haproxy(conf: cfg.ConfigOpts, paths: Paths, intake_socket: str, binds: Sequence[str]) -> str:
    """HAProxy's configuration for these front addresses."""
    values = _values(conf, paths, intake_socket)
    return _environment().get_template("haproxy.cfg.j2").render(values, binds=sorted(binds))


def varnish(conf: cfg.ConfigOpts, paths: Paths) -> str:
    """Varnish's configuration: one for all services."""
    return _environment().get_template("cache.vcl.j2").render(_values(conf, paths, ""))


def lua(conf: cfg.ConfigOpts, paths: Paths) -> str:
    """The Lua that holds requests."""
    head = {
        "STATE_MAP": paths.map("state"),
        "PENDING_MAP": paths.map("pending"),
        "COOKIES_MAP": paths.map("cookies"),
        "EPOCHS_MAP": paths.map("epochs"),
    }
    lines = [f'local {name} = "{path}"' for name, path in head.items()]
    lines += [
        f"local HOLD_MILLISECONDS = {conf.engine.hold_timeout * 1000}",
        f"local FETCHES = {conf.engine.fetches_on_return}",
        f"local TURN_MILLISECONDS = {TURN_MILLISECONDS}",
    ]
    return "\n".join([*lines, "", (TEMPLATES / "edge.lua").read_text()])


def map_text(entries: Mapping[str, str]) -> str:
    """A map's file. Keys and values come from :mod:`names`: no blanks, no line breaks."""
    return "".join(f"{key} {value}\n" for key, value in entries.items())
