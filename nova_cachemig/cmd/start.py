"""Starts each program without eventlet, which oslo.messaging and oslo.utils import by default.

So a program is imported here only after :func:`without_eventlet`. Nova's processes never import
this module: they choose for themselves.
"""

from __future__ import annotations

import sys


def without_eventlet() -> None:
    """Choose native threads, and forbid the import of eventlet.

    An earlier oslo.service than 4.2, or one without its extra ``threading``, needs eventlet: then
    it stays allowed.
    """
    sys.modules["eventlet"] = None  # type: ignore[assignment]
    try:
        from oslo_service import backend

        backend.init_backend(backend.BackendType.THREADING)
    except (ImportError, ValueError):
        del sys.modules["eventlet"]


def agent() -> int:
    """Run ``nova-cachemig-agent``."""
    without_eventlet()
    from nova_cachemig.cmd.agent import main

    return main()


def forecaster() -> int:
    """Run ``nova-cachemig-forecaster``."""
    without_eventlet()
    from nova_cachemig.cmd.forecaster import main

    return main()


def manage() -> int:
    """Run ``nova-cachemig-manage``."""
    without_eventlet()
    from nova_cachemig.cmd.manage.app import main

    return main()


def api() -> int:
    """Run ``nova-cachemig-api``."""
    without_eventlet()
    from nova_cachemig.cmd.api import main

    return main()


def status() -> int:
    """Run ``nova-cachemig-status``."""
    without_eventlet()
    from nova_cachemig.cmd.status import main

    return main()
