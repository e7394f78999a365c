"""A real Flask application under gunicorn with two processes."""

from __future__ import annotations

import unittest

from tests.functional.guest.honours import HonoursKeys


class FlaskTest(HonoursKeys, unittest.TestCase):
    kind = "flask"

    def test_one_process_of_two_dies(self) -> None:
        shop = self.shop(after_crash="refuse")
        shop.die_at("applied", who="worker")
        self.broken(shop, b"apple")
        for _ in range(4):  # whichever process takes it, the old one or its successor
            self.assertEqual("outcome-unknown", shop.ask(b"apple").code)
        self.assertEqual(201, shop.ask(b"pear", '"k2"').status)
        self.assertEqual([b"apple", b"pear"], shop.log())
