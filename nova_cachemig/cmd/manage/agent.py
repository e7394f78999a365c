"""``agent show``: does the agent respond?"""

from __future__ import annotations

import argparse
from typing import Any

from cliff.show import ShowOne

from nova_cachemig.cmd.manage.base import PlainErrors, is_offline, online_agent


class Show(PlainErrors, ShowOne):
    """Show whether the agent responds and listens, its versions, and its errors.

    The command asks the agent over RPC, and refuses --offline.
    """

    def take_action(self, parsed_args: argparse.Namespace) -> tuple[Any, Any]:
        """Return names and values."""
        if is_offline(self):
            self.app.parser.error("agent show asks the agent: leave --offline out")
        with online_agent(self) as agent:
            shown = agent.ping()
        faults = shown.get("faults") or {}
        shown["faults"] = "; ".join(f"{cause}: {count}" for cause, count in faults.items())
        shown["service_errors"] = "; ".join(shown.get("service_errors") or ())
        shown["unreachable"] = ", ".join(shown.get("unreachable") or ())
        return tuple(shown), tuple(shown.values())
