"""libvirt on a compute host, as the watcher in nova-compute opens it."""

from __future__ import annotations

import importlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from oslo_config import cfg

from nova_cachemig.compute import libvirt_auth
from nova_cachemig.compute.watcher import libvirt_uri
from nova_cachemig.doctor.context import Context
from nova_cachemig.doctor.runner import Check
from nova_cachemig.doctor.verdict import Verdict, skipped
from nova_cachemig.doctor.verdicts import libvirt as verdicts

_SOCKETS: Final = (
    Path("/var/run/libvirt/virtqemud-sock"),
    Path("/var/run/libvirt/libvirt-sock"),
)


def checks(context: Context) -> Sequence[Check]:
    """A check of [libvirt] connection_uri in nova.conf."""
    conf = context.nova_conf
    assert conf is not None, "a subject of nova.conf"
    return [Check("libvirt.connection", lambda: [_connection(conf)])]


def _connection(conf: cfg.ConfigOpts) -> Verdict:
    uri = libvirt_uri(conf)
    if not conf.cachemig.watch_guests:
        return skipped("[cachemig] watch_guests is false")
    if not conf.libvirt.connection_uri and not any(path.exists() for path in _SOCKETS):
        return skipped("no libvirt runs here: this host is not a compute host")
    try:
        libvirt: Any = importlib.import_module("libvirt")
    except ImportError:
        return skipped("the module libvirt is not installed here: run it in nova-compute's Python")
    libvirt.registerErrorHandler(lambda *_: None, None)  # it would print each error
    try:
        connection = libvirt_auth.open_read_only(libvirt, uri)
    except libvirt.libvirtError as exc:
        return verdicts.refused(uri, str(exc), libvirt_auth.remedy(libvirt, exc))
    try:
        version = connection.getLibVersion()
    finally:
        connection.close()
    return verdicts.connected(uri, version, os.geteuid())
