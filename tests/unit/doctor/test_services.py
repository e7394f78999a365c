import unittest

from nova_cachemig.doctor import services
from nova_cachemig.doctor.context import Context
from nova_cachemig.doctor.verdict import Status, Verdict
from tests.unit.doctor.files import Case

GOOD = """\
services:
  - {name: shop, instance: 6f70656e-7374-4163-8b21-00000000d7a1, port: 80, listen: "10.0.0.1:80"}
"""


class ServicesTest(Case):
    def found(self) -> list[Verdict]:
        return self.run_check(services, "services.files", Context(self.agent(), None))

    def test_each_file_is_checked(self) -> None:
        (self.here / "services.d").mkdir()
        self.write("services.d/a.yaml", GOOD)
        self.assertEqual([Status.OK], [v.status for v in self.found()])
        self.write("services.d/b.yaml", "services: [{name: x}]")
        self.write("services.d/c.yaml", "{")
        found = self.found()
        self.assertEqual([Status.FAILED] * 2, [v.status for v in found])
        for name, verdict in zip(("b.yaml", "c.yaml"), found, strict=True):
            self.assertIn(name, verdict.remedy)

    def test_conflicts_are_those_of_the_directory(self) -> None:
        (self.here / "services.d").mkdir()
        for name in ("a", "b"):
            self.write(f"services.d/{name}.yaml", GOOD)
        [verdict] = self.found()
        self.assertEqual(Status.FAILED, verdict.status)
        self.assertIn("shop", verdict.what)

    def test_a_directory_that_cannot_be_read(self) -> None:
        self.write("services.d", "")
        [verdict] = self.found()
        self.assertEqual(Status.FAILED, verdict.status)


if __name__ == "__main__":
    unittest.main()
