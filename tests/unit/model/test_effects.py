"""The pages that a write changes besides its own, and the reads that wait for it."""

from __future__ import annotations

import unittest

from nova_cachemig.model.effects import changed_urls, held_reads
from nova_cachemig.model.write import GuestResponse


def changed(value: str, status: int = 201) -> tuple[str, ...]:
    return changed_urls("/cart/x", (), GuestResponse(status, (("location", value),)))


class ChangedUrlsTest(unittest.TestCase):
    def test_of_the_response(self) -> None:
        self.assertEqual(("/a",), changed("/a?b=1"))
        self.assertEqual(("/cart/7",), changed("7"))
        self.assertEqual(("/z",), changed("http://shop.example/z#part"))
        self.assertEqual(("/z",), changed("//www.shop.example:8080/z"))
        self.assertEqual((), changed("/a", status=500))

    def test_of_the_destination_whatever_the_response(self) -> None:
        headers = (("destination", "http://shop.example/to"),)
        refused = GuestResponse(500, (("location", "/a"),))
        for response in (None, refused):
            self.assertEqual(("/to",), changed_urls("/from", headers, response))
        created = GuestResponse(201, (("location", "/to"), ("content-location", "new")))
        self.assertEqual(("/to", "/new"), changed_urls("/from", headers, created))


class HeldReadsTest(unittest.TestCase):
    def test_of_the_page_and_of_the_client(self) -> None:
        self.assertEqual(("url:/cart/x", "client:c"), held_reads("/cart/x", "c"))
        self.assertEqual(("url:/x", "client:c", "url:/to"), held_reads("/x", "c", ["/to"]))


if __name__ == "__main__":
    unittest.main()
