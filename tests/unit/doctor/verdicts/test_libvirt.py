import unittest

from nova_cachemig.doctor.verdict import Status
from nova_cachemig.doctor.verdicts import libvirt


class LibvirtTest(unittest.TestCase):
    def test_a_refusal_has_its_remedy(self) -> None:
        verdict = libvirt.refused("qemu:///system", "no", "check the password")
        self.assertEqual(Status.FAILED, verdict.status)
        self.assertEqual("Check the password", verdict.remedy)

    def test_the_version_is_readable(self) -> None:
        self.assertIn("libvirt 9.0.12 at", libvirt.connected("x", 9_000_012, 0).what)


if __name__ == "__main__":
    unittest.main()
