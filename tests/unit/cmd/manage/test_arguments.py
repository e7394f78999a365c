from __future__ import annotations

import argparse
import unittest

from nova_cachemig.cmd.manage import arguments
from tests.unit.cmd.manage.case import UUID


class ArgumentsTest(unittest.TestCase):
    def refused(self, convert: object, text: str) -> str:
        assert callable(convert)
        with self.assertRaises(argparse.ArgumentTypeError) as raised:
            convert(text)
        return str(raised.exception)

    def test_an_instance(self) -> None:
        self.assertEqual(UUID, arguments.instance(UUID))
        self.assertEqual(UUID, arguments.instance(UUID.upper()))
        self.assertIn("'abc' is not a UUID", self.refused(arguments.instance, "abc"))

    def test_a_write(self) -> None:
        self.assertEqual("shop/12", arguments.write("shop/12"))
        for wrong in ("shop", "shop/", "/12", "shop/x", "Shop/1", "shop/-1", "shop/1/2", ""):
            self.assertIn("for instance shop/12", self.refused(arguments.write, wrong))

    def test_a_limit(self) -> None:
        self.assertEqual(("rate", 200), arguments.limit("rate=200"))
        for wrong in ("rate", "rate=", "rate=-1", "rate=1.5", "clients=1", "rate=10000000", ""):
            self.assertIn("the names: connections, ", self.refused(arguments.limit, wrong))

    def test_a_number(self) -> None:
        whole, real = arguments.number(int, 1, 1000), arguments.number(float, 0, 86400)
        self.assertEqual((1000, 0.5), (whole("1000"), real("0.5")))
        for wrong in ("0", "1001", "1.5", "many", ""):
            text = f"{wrong!r} is not a whole number from 1 to 1000"
            self.assertEqual(text, self.refused(whole, wrong))
        for wrong in ("-1", "86401", "nan", "inf", "soon"):
            self.assertIn("not a number from 0 to 86400", self.refused(real, wrong))


if __name__ == "__main__":
    unittest.main()
