"""The program ``nova-cachemig-api``: the REST API, served by Gunicorn."""

from __future__ import annotations

import sys
from typing import Any, Final

from gunicorn.app.base import BaseApplication
from oslo_config import cfg
from oslo_log import log

from nova_cachemig.api import pipeline
from nova_cachemig.conf import nova, setup
from nova_cachemig.rpc import bus

PROG: Final = "nova-cachemig-api"
_DESCRIPTION: Final = (
    "Serve the REST API of nova-cachemig: services, handovers and quarantined writes of the agent "
    f"[agent] host. It reads {setup.FILE} unless --config-file names another file."
)
_REQUEST_TIMEOUT: Final = 60
"""Seconds after which a worker process that is stuck is replaced."""


class _Server(BaseApplication):
    """Gunicorn with the options of ``[api]`` instead of its command line."""

    def __init__(self, conf: cfg.ConfigOpts, application: Any) -> None:
        self._conf = conf
        self._application = application
        super().__init__()

    def load_config(self) -> None:
        """Set Gunicorn's settings."""
        options = self._conf.api
        host = f"[{options.bind_host}]" if ":" in options.bind_host else options.bind_host
        for name, value in {
            "bind": f"{host}:{options.bind_port}",
            "proc_name": PROG,
            "workers": options.workers,
            "threads": options.threads,
            "worker_class": "gthread",
            "timeout": _REQUEST_TIMEOUT,
            "control_socket_disable": True,
        }.items():
            if name in self.cfg.settings:  # a former Gunicorn has no control socket
                self.cfg.set(name, value)

    def load(self) -> Any:
        """Return the application, in the process that serves it."""
        return self._application


def configured(args: list[str]) -> tuple[cfg.ConfigOpts, Any]:
    """Return the configuration and the WSGI application. Raises cfg.Error."""
    conf = cfg.ConfigOpts()
    log.register_options(conf)
    files = cfg.find_config_files(setup.PROJECT)
    setup.read(conf, files, args, prog=PROG, description=_DESCRIPTION)
    bus.require_url(conf)
    found = pipeline.application(conf)
    if conf.keystone_authtoken.auth_type is None:
        raise cfg.Error(
            "[keystone_authtoken] auth_type is not set: set it, and the account with which the API "
            "checks tokens"
        )
    if conf[nova.GROUP.name].auth_type is None:
        raise cfg.Error(
            "[nova] auth_type is not set: set it, and the account with which the API asks Nova for "
            "the projects of instances"
        )
    log.setup(conf, "nova-cachemig")
    return conf, found


def application() -> Any:
    """Return the WSGI application, for another server, with the files in their usual places."""
    return configured([])[1]


def main() -> int:
    """Serve until SIGTERM or SIGINT; the exit code, 2 if the configuration is wrong."""
    try:
        conf, found = configured(sys.argv[1:])
    except cfg.Error as exc:
        print(f"{PROG}: {exc}", file=sys.stderr)
        return setup.EXIT_CODE
    _Server(conf, found).run()
    return 0
