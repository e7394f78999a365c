"""Serve one OpenStack API from its WSGI module: SERVICE ADDRESS PORT."""

from __future__ import annotations

import importlib
import logging
import sys
from typing import Any

MODULES = {
    "keystone": "keystone.wsgi.api",
    "placement": "placement.wsgi.api",
    "glance": "glance.wsgi.api",
    "neutron": "neutron.wsgi.api",
    "nova-api": "nova.wsgi.osapi_compute",
}


def load(service: str) -> Any:
    # The modules parse the command line during import. The queue manager of oslo.messaging
    # names queues after the program.
    sys.argv[:] = [service]
    if service == "neutron":
        # A relation of the ports' model uses a class of this module. Without a
        # port forwarding plug-in no other module imports it.
        importlib.import_module("neutron.db.models.port_forwarding")
    application = importlib.import_module(MODULES[service]).application
    if service == "neutron":
        # Plug-ins add relations to other models when the mappers are configured.
        # Without that, GET /ports fails with 500.
        from sqlalchemy import orm

        orm.configure_mappers()
    return application


def main() -> None:
    service, address, port = sys.argv[1:4]
    application = load(service)
    import waitress

    logging.getLogger("waitress.queue").setLevel(logging.ERROR)
    waitress.serve(
        application,
        host=address,
        port=int(port),
        threads=6,
        ident=None,
        clear_untrusted_proxy_headers=True,
    )


if __name__ == "__main__":
    main()
