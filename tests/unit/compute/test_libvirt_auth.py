"""Connections to libvirt that need credentials. tests/functional/compute tries them for real."""

from __future__ import annotations

import unittest
from typing import Any

import libvirt

from nova_cachemig.compute import libvirt_auth


class Auth(unittest.TestCase):
    def test_the_connection_is_read_only(self) -> None:
        libvirt.registerErrorHandler(lambda context, error: None, None)  # the default prints
        connection = libvirt_auth.open_read_only(libvirt, "test:///default")
        self.addCleanup(connection.close)
        with self.assertRaisesRegex(libvirt.libvirtError, "read only"):
            connection.lookupByName("test").suspend()

    def test_only_a_refusal_is_a_matter_of_credentials(self) -> None:
        for code, refused in (
            (libvirt.VIR_ERR_AUTH_FAILED, True),
            (libvirt.VIR_ERR_AUTH_CANCELLED, True),
            (libvirt.VIR_ERR_AUTH_UNAVAILABLE, True),
            (libvirt.VIR_ERR_SYSTEM_ERROR, False),
        ):
            with self.subTest(code):
                error: Any = libvirt.libvirtError("failed")
                error.err = (code, 0, "failed", 2, None, None, None, 0, 0)
                self.assertEqual(refused, libvirt_auth.refused(libvirt, error))
                self.assertEqual(refused, "auth.conf" in libvirt_auth.remedy(libvirt, error))


if __name__ == "__main__":
    unittest.main()
