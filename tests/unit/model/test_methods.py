"""The registry of methods does not contradict itself."""

from __future__ import annotations

import unittest

from nova_cachemig.model import methods


class MethodsTest(unittest.TestCase):
    def test_reads_may_be_sent_again(self) -> None:
        self.assertLessEqual(set(methods.SAFE), methods.IDEMPOTENT)

    def test_what_changes_another_page_is_a_write(self) -> None:
        self.assertTrue(methods.IDEMPOTENT.isdisjoint(methods.TO_DESTINATION))


if __name__ == "__main__":
    unittest.main()
