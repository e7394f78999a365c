"""``doctor``: why does it not work?"""

from __future__ import annotations

import argparse
from typing import Any

from cliff.lister import Lister

from nova_cachemig.cmd.manage.app import ManageApp
from nova_cachemig.conf import setup
from nova_cachemig.doctor import report
from nova_cachemig.doctor.verdict import Finding, exit_code


class Doctor(Lister):
    """Check this node and everything that nova-cachemig needs; name the cause and the remedy.

    On the cache node, the command checks what the agent needs. With --nova-conf, it also checks
    the settings and the message bus of nova-compute and nova-scheduler, and libvirt. On a compute
    host, where the configuration file of the agent does not exist, it checks only these. Each
    check takes at most five seconds. The exit code is 1 if a check failed, otherwise 0.
    """

    _findings: list[Finding]

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Return cliff's parser with the files of Nova."""
        parser = super().get_parser(prog_name)
        parser.add_argument(
            "--nova-conf",
            metavar="FILE",
            action="append",
            default=[],
            help="Also check this nova.conf. Repeat the option for several files; a later file "
            "overrides an earlier one.",
        )
        parser.set_defaults(fit_width=True)
        return parser

    @property
    def need_sort_by_cliff(self) -> bool:
        """The order of the checks is that of their dependencies."""
        return False

    def take_action(self, parsed_args: argparse.Namespace) -> tuple[Any, Any]:
        """Return columns and rows."""
        assert isinstance(self.app, ManageApp)
        given = self.app.options.config_file
        self._findings = report.findings(
            given or [setup.FILE], parsed_args.nova_conf, required=bool(given)
        )
        return report.COLUMNS, report.rows(self._findings)

    def run(self, parsed_args: argparse.Namespace) -> int:
        """Run the checks and print the findings; the exit code."""
        return int(super().run(parsed_args) or 0) or exit_code(self._findings)
