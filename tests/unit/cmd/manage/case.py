"""``nova-cachemig-manage`` in this process, with an agent on the fake bus and its own files."""

from __future__ import annotations

import contextlib
import io
import logging
import tempfile
from pathlib import Path

from nova_cachemig.cmd.manage.app import ManageApp
from tests.unit.rpc.endpoints import CannedReview, OnFakeBus

UUID = "5f3c0b6a-0000-4000-8000-000000000001"

_CONFIG = """
[DEFAULT]
transport_url = fake://
[agent]
host = cache1
topic = {topic}
state_dir = {root}/state
services_dir = {root}/services.d
[forecaster]
topic = {topic}-forecaster
rpc_timeout = 0.3
"""


class ManageCase(OnFakeBus):
    def setUp(self) -> None:
        super().setUp()
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = Path(folder.name)
        for name in ("state", "services.d"):
            (self.root / name).mkdir()
        self.addCleanup(setattr, logging.root, "handlers", list(logging.root.handlers))
        ours = logging.getLogger("nova_cachemig")
        self.addCleanup(ours.setLevel, ours.level)
        ours.setLevel(logging.ERROR)  # the agent's own log, in the same process here
        self.review = CannedReview()
        self.config = self.root / "agent.conf"
        self.config.write_text(_CONFIG.format(topic=self.topic, root=self.root))

    def manage(self, *words: str) -> tuple[int, str, str]:
        """Exit code, standard output, standard error."""
        out, err = io.StringIO(), io.StringIO()
        arguments = ["--config-file", str(self.config), *words]
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                code: object = ManageApp().run(arguments)
            except SystemExit as exc:
                code = exc.code
        if isinstance(code, str):  # what Python itself does with it
            err.write(code + "\n")
            code = 1
        assert isinstance(code, int)
        return code, out.getvalue(), err.getvalue()

    def succeeds(self, *words: str) -> str:
        """The standard output of a command that must succeed."""
        code, out, err = self.manage(*words)
        self.assertEqual((0, ""), (code, err), out)
        return out

    def fails(self, *words: str) -> str:
        """The standard error of a command that must fail, without a traceback."""
        return self._ends_with(1, *words)

    def refuses(self, *words: str) -> str:
        """The standard error of a command that must refuse its arguments or configuration."""
        return self._ends_with(2, *words)

    def _ends_with(self, expected: int, *words: str) -> str:
        code, _, err = self.manage(*words)
        self.assertEqual(expected, code)
        self.assertNotIn("Traceback", err)
        return err
