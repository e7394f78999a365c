"""The forecaster's numbers, of a real daemon with a scripted source."""

from __future__ import annotations

import urllib.request
from types import SimpleNamespace
from typing import cast
from unittest import mock

from nova_cachemig.conf.metrics import Address
from nova_cachemig.forecaster import metrics
from nova_cachemig.metrics.declared import BUILD, FORECASTER
from nova_cachemig.rpc.server import RpcServer
from tests.unit.forecaster.test_daemon import Case

SERVER = cast(RpcServer, SimpleNamespace(listening=True))


class MetricsTest(Case):
    def test_before_the_first_sample(self) -> None:
        values = metrics.take(self.daemon(), SERVER)
        self.assertEqual({"forecast": 0.0, "silent": 0.0}, values["nova_cachemig_forecast_hosts"])
        self.assertNotIn("nova_cachemig_newest_sample_age_seconds", values)
        self.assertNotIn("nova_cachemig_forecast_error", values)

    def test_each_declared_metric_has_its_values_after_a_horizon(self) -> None:
        daemon = self.daemon(horizon=600)
        self.rounds(daemon, 60)
        self.now += 5.0
        values = metrics.take(daemon, SERVER)
        self.assertEqual({one.name for one in FORECASTER} - {BUILD.name}, set(values))
        self.assertEqual(5.0, values["nova_cachemig_newest_sample_age_seconds"])
        self.assertEqual(5.0, values["nova_cachemig_forecast_age_seconds"])
        error = values["nova_cachemig_forecast_error"]
        assert isinstance(error, dict)
        self.assertLess(error["forecast"], 1.0)  # the loads are constant
        self.assertEqual(1.0, values["nova_cachemig_forecast_covered_ratio"])
        samples = values["nova_cachemig_samples_total"]
        assert isinstance(samples, dict)
        self.assertEqual(60.0, samples["not_finite"])
        self.now += 10_000.0
        later = metrics.take(daemon, SERVER)["nova_cachemig_forecast_hosts"]
        assert isinstance(later, dict)
        self.assertEqual(2.0, later["silent"])

    def test_a_judge_that_breaks_stops_no_forecast(self) -> None:
        daemon = self.daemon()
        with mock.patch.object(daemon.judge, "judge", side_effect=ValueError("oops")):
            self.rounds(daemon, 3)
        self.assertEqual(3, len(self.sent))
        self.assertEqual(3, daemon.faults.counts()["the forecasts could not be judged"])

    def test_over_http(self) -> None:
        daemon = self.daemon()
        self.rounds(daemon, 3)
        listener = metrics.listener(Address("127.0.0.1", 0), daemon, SERVER)
        self.addCleanup(listener.stop)
        listener.start()
        self.assertTrue(listener.listening.wait(10))
        url = f"http://127.0.0.1:{listener.port}/metrics"
        with urllib.request.urlopen(url, timeout=10) as response:
            text = response.read().decode()
        self.assertIn('nova_cachemig_build_info{component="forecaster"', text)
        self.assertIn('nova_cachemig_forecast_hosts{state="forecast"} 2.0', text)
