from unittest import mock

from nova_cachemig.doctor import registry, report
from nova_cachemig.doctor.verdict import Finding, Status, ok
from tests.unit.doctor.files import Case


class ReportTest(Case):
    def setUp(self) -> None:
        super().setUp()
        for name in ("ON_CACHE_NODE", "IN_NOVA"):
            patch = mock.patch.object(registry, name, ())
            patch.start()
            self.addCleanup(patch.stop)
        self.missing = str(self.here / "none.conf")
        self.nova_conf = self.write("nova.conf", "")

    def found(self, files: list[str], nova: list[str], *, required: bool) -> list[tuple[str, str]]:
        return [
            (f.verdict.status.value, f.verdict.what)
            for f in report.findings(files, nova, required=required)
        ]

    def test_a_compute_host_needs_no_file_of_the_agent(self) -> None:
        [(status, what)] = self.found([self.missing], [self.nova_conf], required=False)
        self.assertEqual("skipped", status)
        self.assertIn("no cache node", what)

    def test_a_file_that_is_named_must_exist(self) -> None:
        for files in ([self.nova_conf], []):
            [(status, _)] = self.found([self.missing], files, required=True)
            self.assertEqual("failed", status)

    def test_without_any_file_the_missing_one_is_a_failure(self) -> None:
        [(status, what)] = self.found([self.missing], [], required=False)
        self.assertEqual("failed", status)
        self.assertIn(self.missing, what)

    def test_a_mistake_in_a_file_is_a_finding(self) -> None:
        bad = self.write("bad.conf", "no option")
        [(status, what)] = self.found([bad], [], required=True)
        self.assertEqual("failed", status)
        self.assertIn("bad.conf", what)

    def test_rows_have_the_columns(self) -> None:
        [row] = report.rows([Finding("bus.rights", ok("fine"))])
        self.assertEqual(("bus.rights", Status.OK.value, "fine", ""), row)
        self.assertEqual(len(report.COLUMNS), len(row))
