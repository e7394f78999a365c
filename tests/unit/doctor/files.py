"""Configuration files of a test's own."""

from __future__ import annotations

import logging
import tempfile
import unittest
from pathlib import Path

from oslo_config import cfg

from nova_cachemig.doctor import context
from nova_cachemig.doctor.context import Context
from nova_cachemig.doctor.registry import Subject
from nova_cachemig.doctor.verdict import Verdict


class Case(unittest.TestCase):
    """``here`` is a directory of the test's own."""

    def setUp(self) -> None:
        made = tempfile.TemporaryDirectory()
        self.addCleanup(made.cleanup)
        self.here = Path(made.name)
        for name in ("keystoneauth", "oslo_config.cfg"):  # they log what these tests provoke
            logger = logging.getLogger(name)
            self.addCleanup(logger.setLevel, logger.level)
            logger.setLevel(logging.CRITICAL)

    def write(self, name: str, text: str) -> str:
        """Write a file; its path."""
        path = self.here / name
        path.write_text(text)
        return str(path)

    def agent(self, text: str = "") -> cfg.ConfigOpts:
        """The configuration of an agent whose directories are ``here``."""
        head = (
            f"[agent]\nstate_dir = {self.here}/state\nservices_dir = {self.here}/services.d\n"
            f"[engine]\nruntime_dir = {self.here}/run\n"
        )
        return context.read_agent([self.write("agent.conf", head + text)])

    def nova(self, text: str = "") -> cfg.ConfigOpts:
        """A configuration of Nova."""
        return context.read_nova([self.write("nova.conf", text)])

    def run_check(self, subject: Subject, name: str, found: Context) -> list[Verdict]:
        """The verdicts of one check of a subject."""
        checks = {check.name: check for check in subject.checks(found)}
        return list(checks[name].run())
