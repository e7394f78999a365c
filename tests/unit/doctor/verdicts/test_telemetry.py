import unittest
from typing import Any

from nova_cachemig.doctor.verdict import Status
from nova_cachemig.doctor.verdicts import telemetry

NOW = 1000.0


class TelemetryTest(unittest.TestCase):
    def statuses(self, **show: Any) -> list[Status]:
        found = {"made_at": NOW - 10, "hosts": [{"host": "a"}], "silent": {}, "problems": []}
        return [v.status for v in telemetry.forecasts(found | show, NOW, 60.0)]

    def test_forecasts(self) -> None:
        self.assertEqual([Status.OK], self.statuses())
        self.assertEqual([Status.FAILED], self.statuses(hosts=[]))
        self.assertEqual([Status.FAILED], self.statuses(made_at=NOW - 400))
        self.assertEqual([Status.OK, Status.WARNING], self.statuses(silent={"b": 900}))
        self.assertEqual([Status.WARNING, Status.OK], self.statuses(problems=["nova: bus 1"]))

    def test_before_the_first_forecast(self) -> None:
        self.assertEqual(Status.WARNING, telemetry.no_forecast("none yet").status)

    def test_prometheus(self) -> None:
        self.assertEqual(Status.OK, telemetry.prometheus("").status)
        self.assertIn("prometheus_token_file", telemetry.prometheus("401 Unauthorized").remedy)
        self.assertIn("prometheus_url", telemetry.prometheus("ConnectError").remedy)

    def test_gnocchi(self) -> None:
        self.assertEqual(Status.OK, telemetry.gnocchi("").status)
        self.assertIn("account in [gnocchi]", telemetry.gnocchi("403 Forbidden").remedy)
        self.assertIn("compute_monitors", telemetry.gnocchi("404 Not Found: Metric x").remedy)
        self.assertIn("check that Gnocchi runs", telemetry.gnocchi("Unable to connect").remedy)


if __name__ == "__main__":
    unittest.main()
