"""The pages that a write changes besides its own, and the reads that wait for it."""

from __future__ import annotations

import unittest

from nova_cachemig.model.effects import changed_urls, held_reads
from nova_cachemig.model.write import GuestResponse


def changed(value: str, status: int = 201) -> tuple[str, ...]:
    response = GuestResponse(status, (("location", value),))
    return changed_urls("shop.example", "/cart/x", response)


class ChangedUrlsTest(unittest.TestCase):
    def test_same_host_only(self) -> None:
        self.assertEqual(("/a?b=1",), changed("/a?b=1"))
        self.assertEqual(("/cart/7",), changed("7"))
        self.assertEqual(("/z",), changed("http://shop.example/z#part"))
        self.assertEqual((), changed("http://elsewhere.example/z"))
        self.assertEqual((), changed("http://[broken"))
        self.assertEqual((), changed("/a", status=500))


class HeldReadsTest(unittest.TestCase):
    def test_of_the_page_and_of_the_client(self) -> None:
        self.assertEqual(("url:/cart/x", "client:c"), held_reads("/cart/x", "c"))


if __name__ == "__main__":
    unittest.main()
