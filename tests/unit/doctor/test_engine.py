import json
import os
import socket
import unittest
from pathlib import Path

from nova_cachemig.agent.engine.process import _start_time
from nova_cachemig.doctor import engine
from nova_cachemig.doctor.context import Context
from nova_cachemig.doctor.verdict import Status, Verdict
from tests.unit.doctor.files import Case


class EngineTest(Case):
    def found(self, name: str, text: str = "") -> list[Verdict]:
        # The head of the file ends in the group [engine].
        return self.run_check(engine, name, Context(self.agent(text), None))

    def program(self, name: str, output: str) -> Path:
        path = Path(self.write(name, f"#!/bin/sh\necho '{output}'\n"))
        path.chmod(0o755)
        return path

    def test_the_programs_report_their_versions(self) -> None:
        haproxy = self.program("haproxy", "HAProxy version 2.4.22 2023 +LUA")
        version, lua = self.found("engine.haproxy", f"haproxy = {haproxy}\n")
        self.assertEqual((Status.FAILED, Status.OK), (version.status, lua.status))
        varnish = self.program("varnishd", "varnishd (varnish-7.3.0 revision x)")
        version, _ = self.found("engine.varnish", f"varnishd = {varnish}\n")
        self.assertEqual(Status.OK, version.status)

    def test_a_program_that_is_missing(self) -> None:
        for name, option in (("engine.haproxy", "haproxy"), ("engine.varnish", "varnishd")):
            [verdict] = self.found(name, f"{option} = {self.here}/none\n")
            self.assertEqual(Status.FAILED, verdict.status)
            self.assertIn(f"[engine] {option}", verdict.what)

    def test_limits(self) -> None:
        self.assertEqual(2, len(self.found("engine.limits")))
        [verdict] = self.found("engine.limits", "max_clients = 1000000\n")
        self.assertEqual(Status.FAILED, verdict.status)
        self.assertIn("max_clients", verdict.what)

    def test_engines_that_run(self) -> None:
        run = self.here / "run"
        run.mkdir()
        self.assertEqual([Status.WARNING] * 2, [v.status for v in self.found("engine.running")])
        pid = os.getpid()
        begun = {"pid": pid, "begun": _start_time(pid)}
        (run / "haproxy.pid").write_text(json.dumps(begun))
        self.assertEqual(Status.FAILED, self.found("engine.running")[0].status)  # no socket
        with socket.socket(socket.AF_UNIX) as admin:
            admin.bind(str(run / "admin.sock"))
            admin.listen()
            self.assertEqual(Status.OK, self.found("engine.running")[0].status)


if __name__ == "__main__":
    unittest.main()
