from nova_cachemig.rpc import forecaster
from tests.unit.cmd.manage.case import UUID, ManageCase
from tests.unit.rpc.endpoints import new_conf

HOST = {"host": "cmp1", "now": 1.0, "mean": 2.0, "low": 1.0, "high": 3.0, "overload": 0.1}


class Canned:
    def request_snapshot(self) -> None:
        return None

    def show(self) -> dict[str, object]:
        return {
            "hosts": [HOST],
            "silent": {"cmp2": 900},
            "problems": ["nova: no bus"],
            "samples": {"taken": 9, "unknown_host": 2, "skewed": 3},
        }

    def explain(self, host: str) -> dict[str, object]:
        raise ValueError(f"{host} is unknown")

    def rank(self, instance: str, vcpus: int | None) -> dict[str, object]:
        return {"hosts": [HOST | {"added": 1.0, "total": 3.0, "source": False}], "reasons": ["why"]}


class ForecastTest(ManageCase):
    def serve_forecasts(self) -> None:
        topic = f"{self.topic}-forecaster"
        server = forecaster.server(new_conf(), topic, "f1", "fake://", Canned())
        server.start()
        self.addCleanup(server.stop)
        self.assertTrue(server.wait_listening(5))

    def test_tables(self) -> None:
        self.serve_forecasts()
        code, out, _ = self.manage("forecast", "show", "-f", "value", "-c", "host")
        self.assertEqual((0, ["cmp1", "cmp2"]), (code, out.split()))
        code, out, _ = self.manage("rank", UUID, "--vcpus", "2")
        self.assertEqual(0, code)
        self.assertIn("cmp1", out)

    def test_problems_and_reasons_go_to_standard_error(self) -> None:
        self.serve_forecasts()
        code, _, err = self.manage("forecast", "show")
        self.assertEqual(0, code)
        self.assertEqual(
            [
                "problem: nova: no bus",
                "samples with a corrected time: 3",
                "samples rejected: 2 (of an unknown host)",
            ],
            err.splitlines(),
        )
        code, _, err = self.manage("rank", UUID)
        self.assertEqual((0, "why\n"), (code, err))

    def test_a_host_that_is_not_known_is_a_sentence(self) -> None:
        self.serve_forecasts()
        [line] = self.fails("forecast", "explain", "cmp9").splitlines()
        self.assertEqual("nova-cachemig-manage: cmp9 is unknown", line)

    def test_what_is_not_an_instance_is_refused_before_anything_is_read(self) -> None:
        self.config.unlink()
        self.assertIn("'abc' is not a UUID", self.refuses("rank", "abc"))

    def test_without_a_forecaster_it_is_a_sentence(self) -> None:
        self.assertIn("no forecaster responds on topic", self.fails("forecast", "show"))
