import unittest
from unittest import mock

from nova_cachemig.doctor import libvirt
from nova_cachemig.doctor.context import Context
from nova_cachemig.doctor.verdict import Status, Verdict
from tests.unit.doctor.files import Case


class LibvirtTest(Case):
    def found(self, text: str) -> Verdict:
        context = Context(None, self.nova(text))
        [verdict] = self.run_check(libvirt, "libvirt.connection", context)
        return verdict

    def test_libvirts_own_test_driver(self) -> None:
        verdict = self.found("[libvirt]\nconnection_uri = test:///default\n")
        self.assertEqual(Status.OK, verdict.status, verdict)

    def test_a_libvirt_that_does_not_respond(self) -> None:
        verdict = self.found("[libvirt]\nconnection_uri = qemu+unix:///system?socket=/nowhere\n")
        self.assertEqual(Status.FAILED, verdict.status)
        self.assertIn("connection_uri", verdict.remedy)

    def test_where_it_is_not_needed(self) -> None:
        off = self.found("[cachemig]\nwatch_guests = false\n")
        self.assertEqual(Status.SKIPPED, off.status)
        with mock.patch.object(libvirt, "_SOCKETS", ()):
            self.assertEqual(Status.SKIPPED, self.found("").status)


if __name__ == "__main__":
    unittest.main()
