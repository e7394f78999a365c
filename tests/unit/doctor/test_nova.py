import json
import unittest

import keystoneauth1.exceptions as ksa
import novaclient.exceptions

from nova_cachemig.doctor import nova
from nova_cachemig.doctor.context import Context
from nova_cachemig.doctor.verdict import Status, Verdict
from nova_cachemig.doctor.verdicts.nova import Fault
from tests.unit.doctor.cloud import Cloud
from tests.unit.doctor.files import Case

INSTANCE = "6f70656e-7374-4163-8b21-00000000d7a1"


class NovaTest(Case):
    def setUp(self) -> None:
        super().setUp()
        self.cloud = Cloud(self)
        (self.here / "services.d").mkdir()

    def found(self, text: str | None = None) -> dict[str, Verdict]:
        """All verdicts, as long as the token is there."""
        context = Context(self.agent(text or self.cloud.account()), None)
        found: dict[str, Verdict] = {}
        for check in nova.checks(context):
            [found[check.name]] = check.run()
            if found["nova.token"].status is not Status.OK:
                break
        return found

    def define(self) -> None:
        service = {"name": "a", "instance": INSTANCE, "port": 80, "listen": "10.0.0.1:80"}
        self.write("services.d/a.yaml", json.dumps({"services": [service]}))

    def assert_failed(self, verdict: Verdict, what: str, remedy: str) -> None:
        self.assertEqual(Status.FAILED, verdict.status)
        self.assertIn(what, verdict.what)
        self.assertIn(remedy, verdict.remedy)

    def test_all_is_well(self) -> None:
        self.define()
        found = self.found()
        self.assertEqual(["nova.token", "nova.servers", "nova.migrations"], list(found))
        self.assertEqual({Status.OK}, {v.status for v in found.values()}, found)

    def test_without_a_service_an_unknown_instance_is_no_fault(self) -> None:
        self.cloud.get = (
            lambda path: (  # type: ignore[method-assign]
                Cloud.get(self.cloud, path)
                if "/servers/" not in path
                else (
                    404,
                    {"itemNotFound": {"message": f"Instance {path[-36:]} could not be found."}},
                )
            )
        )
        self.assertEqual(Status.OK, self.found()["nova.servers"].status)

    def test_an_instance_of_a_service_that_nova_does_not_show(self) -> None:
        self.define()
        self.cloud.unknown = {INSTANCE}
        self.assert_failed(self.found()["nova.servers"], INSTANCE, "admin")

    def test_keystone_refuses_the_account(self) -> None:
        self.cloud.statuses["/v3/auth/tokens"] = 401
        self.assert_failed(self.found()["nova.token"], "no token", "password")

    def test_keystone_is_down(self) -> None:
        verdict = self.found(self.cloud.account("http://127.0.0.1:9/v3"))["nova.token"]
        self.assert_failed(verdict, "no token", "Keystone runs")

    def test_an_incomplete_account(self) -> None:
        verdict = self.found("[nova]\nauth_type = password\n")["nova.token"]
        self.assert_failed(verdict, "no token", "[nova]")

    def test_nova_refuses_one_request(self) -> None:
        for code, remedy in ((401, "access rules"), (403, "admin"), (404, "/v2.1"), (500, "log")):
            with self.subTest(code):
                self.cloud.statuses["/compute/v2.1/os-migrations"] = code
                found = self.found()
                self.assertEqual(Status.OK, found["nova.servers"].status)
                self.assert_failed(found["nova.migrations"], "GET /os-migrations", remedy)

    def test_the_catalogue_has_no_endpoint(self) -> None:
        self.cloud.endpoint = ""
        self.assert_failed(self.found()["nova.servers"], "failed", "catalogue")

    def test_the_endpoint_has_a_wrong_path(self) -> None:
        self.cloud.endpoint = "/elsewhere"
        self.assert_failed(self.found()["nova.servers"], "failed", "/v2.1")


class FaultTest(unittest.TestCase):
    def test_errors_are_classified(self) -> None:
        for error, fault in (
            (ksa.SSLError("x"), Fault.TLS),
            (ksa.ConnectTimeout("x"), Fault.TIMEOUT),
            (ksa.ConnectFailure("x"), Fault.CONNECT),
            (ksa.EndpointNotFound(), Fault.NO_ENDPOINT),
            (ksa.Unauthorized(), Fault.UNAUTHORIZED),
            (novaclient.exceptions.Forbidden(403), Fault.FORBIDDEN),
            (novaclient.exceptions.ClientException(406), Fault.VERSION),
            (novaclient.exceptions.ClientException(503), Fault.SERVER),
            (ksa.ClientException(), Fault.OTHER),
        ):
            self.assertEqual(fault, nova.fault_of(error), error)


if __name__ == "__main__":
    unittest.main()
