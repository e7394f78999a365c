import unittest

from nova_cachemig.doctor.verdict import Status
from nova_cachemig.doctor.verdicts import engine

HAPROXY = "HAProxy version 2.6.12-1+deb12u4 2026/10/17 - https://haproxy.org/\n"
VARNISH = "varnishd (varnish-7.1.1 revision 7cee1c581bead20e88d101ab3d72afb29f14d87a)\n"


class EngineTest(unittest.TestCase):
    def test_versions(self) -> None:
        for name, output, oldest, status in (
            ("HAProxy", HAPROXY, engine.HAPROXY, Status.OK),
            ("HAProxy", HAPROXY.replace("2.6.12", "2.4.22"), engine.HAPROXY, Status.FAILED),
            ("HAProxy", HAPROXY.replace("2.6.12", "3.0"), engine.HAPROXY, Status.OK),
            ("Varnish", VARNISH, engine.VARNISH, Status.OK),
            ("Varnish", VARNISH.replace("7.1", "6.5"), engine.VARNISH, Status.FAILED),
            ("Varnish", "hello", engine.VARNISH, Status.WARNING),
        ):
            with self.subTest(output):
                self.assertEqual(status, engine.program(name, output, oldest).status)
        verdict = engine.program("Varnish", VARNISH, engine.VARNISH)
        self.assertEqual("Varnish 7.1.1 is supported", verdict.what)

    def test_lua_and_the_compiler(self) -> None:
        for output, status in (
            ("OPTIONS = USE_LUA=1 USE_SLZ=1", Status.OK),
            ("Feature list : -KQUEUE +LUA +ACCEPT4", Status.OK),
            ("Feature list : -KQUEUE -LUA", Status.FAILED),
        ):
            self.assertEqual(status, engine.lua(output).status)
        self.assertEqual(Status.OK, engine.compiler("/usr/bin/gcc").status)
        self.assertEqual(Status.FAILED, engine.compiler(None).status)

    def test_limits(self) -> None:
        self.assertEqual(Status.OK, engine.open_files(3000, 20000, "").status)
        self.assertEqual(Status.WARNING, engine.open_files(100, 1024, "").status)
        self.assertEqual(Status.FAILED, engine.open_files(None, 64, "too low").status)
        self.assertEqual(Status.OK, engine.ports("32768\t60999\n", 10_000).status)
        self.assertEqual(Status.WARNING, engine.ports("60000 60999", 10_000).status)

    def test_running(self) -> None:
        for alive, error, agent, status in (
            (True, "", True, Status.OK),
            (True, "refused", True, Status.FAILED),
            (False, "", True, Status.FAILED),
            (False, "", False, Status.WARNING),
        ):
            verdict = engine.running("HAProxy", alive=alive, socket="/s", error=error, agent=agent)
            self.assertEqual(status, verdict.status)


if __name__ == "__main__":
    unittest.main()
