import time
import unittest
from typing import Any
from unittest import mock

from nova_cachemig.doctor import telemetry
from nova_cachemig.doctor.context import Context
from nova_cachemig.doctor.verdict import Status
from nova_cachemig.rpc.client import RefusedError, UnreachableError
from nova_cachemig.rpc.forecaster import ForecasterClient
from nova_cachemig.telemetry.gnocchi import GnocchiSource
from nova_cachemig.telemetry.prometheus import PrometheusSource
from nova_cachemig.telemetry.source import SourceError
from tests.unit.doctor.files import Case


class TelemetryTest(Case):
    def forecasts(self, result: Any) -> Status:
        context = Context(self.agent("[DEFAULT]\ntransport_url = fake://\n"), None)
        with mock.patch.object(ForecasterClient, "show", side_effect=[result]):
            found = self.run_check(telemetry, "telemetry.forecasts", context)
        return found[0].status

    def test_the_forecasters_response(self) -> None:
        show = {"made_at": time.time(), "hosts": [{"host": "a"}], "silent": {}}
        self.assertEqual(Status.OK, self.forecasts(show))
        self.assertEqual(Status.WARNING, self.forecasts(RefusedError("no forecast yet")))
        self.assertEqual(Status.SKIPPED, self.forecasts(UnreachableError("none listens")))

    def test_a_source_is_asked_if_it_is_used(self) -> None:
        names = {check.name for check in telemetry.checks(Context(self.agent(), None))}
        account = "[gnocchi]\nauth_type = none\n"
        for name, source in (("prometheus", PrometheusSource), ("gnocchi", GnocchiSource)):
            self.assertNotIn(f"telemetry.{name}", names)
            context = Context(self.agent(f"[telemetry]\nsources = {name}\n{account}"), None)
            for error, status in (
                (None, Status.OK),
                (SourceError("401 Unauthorized"), Status.FAILED),
            ):
                with (
                    self.subTest(name, status=status),
                    mock.patch.object(source, "check", side_effect=[error]),
                ):
                    [verdict] = self.run_check(telemetry, f"telemetry.{name}", context)
                    self.assertEqual(status, verdict.status)

    def test_a_source_with_wrong_options_cannot_be_asked(self) -> None:
        context = Context(self.agent("[telemetry]\nsources = gnocchi\n"), None)
        [verdict] = self.run_check(telemetry, "telemetry.gnocchi", context)
        self.assertEqual(Status.FAILED, verdict.status)
        self.assertIn("[gnocchi] auth_type is not set", verdict.what)


if __name__ == "__main__":
    unittest.main()
