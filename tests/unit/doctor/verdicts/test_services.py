import unittest

from nova_cachemig.doctor.verdict import Status
from nova_cachemig.doctor.verdicts import services


class ServicesTest(unittest.TestCase):
    def test_each_broken_file_is_named(self) -> None:
        found = services.services("/d", 3, {"/d/a.yaml": ["no port"], "/d/b.yaml": ["x", "y"]})
        self.assertEqual([Status.FAILED] * 2, [v.status for v in found])
        self.assertIn("/d/a.yaml", found[0].remedy)
        self.assertEqual("x; y", found[1].what)

    def test_none_is_a_warning(self) -> None:
        self.assertEqual(Status.WARNING, services.services("/d", 0, {})[0].status)
        self.assertEqual("/d defines 1 service", services.services("/d", 1, {})[0].what)


if __name__ == "__main__":
    unittest.main()
