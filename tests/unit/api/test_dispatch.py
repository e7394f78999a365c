"""Routes, microversions, methods and queries; an error of the code is a 500 without its text."""

from __future__ import annotations

from tests.unit.api.case import ApiCase, service


class DispatchTest(ApiCase):
    def test_the_microversion_is_in_the_response(self) -> None:
        for asked in ("cachemig 1.0", "cachemig latest", "compute 2.79, cachemig 1.0"):
            response = self.ask("/v1/services", OpenStack_API_Version=asked)
            self.assertEqual(200, response.status_int, asked)
            self.assertEqual("cachemig 1.0", response.headers["OpenStack-API-Version"])
            self.assertEqual("OpenStack-API-Version", response.headers["Vary"])

    def test_an_unknown_microversion(self) -> None:
        error = self.fails(406, "/v1/services", OpenStack_API_Version="cachemig 1.1")
        self.assertEqual(("1.0", "1.0"), (error["min_version"], error["max_version"]))
        self.fails(400, "/v1/services", OpenStack_API_Version="cachemig one")

    def test_methods(self) -> None:
        response = self.ask("/v1/services", "admin", "DELETE")
        self.assertEqual((405, "GET"), (response.status_int, response.headers["Allow"]))
        head = self.ask("/v1/services", "admin", "HEAD")
        self.assertEqual((200, b""), (head.status_int, head.body))
        self.assertGreater(head.content_length or 0, 0)

    def test_paths(self) -> None:
        for path in ("/v1/nothing", "/v1/services/", "/v1/services/a/b", "/v3", "/v1/writes/a"):
            self.fails(404, path)
        self.fails(400, "/v1/services/%FF")

    def test_queries(self) -> None:
        queries = "limit=0 limit=-1 limit=x limit=1&limit=2 what=1 marker= marker=%FF limit=1%0A"
        for query in (*queries.split(), "all_projects=yes", "limit=" + "9" * 20):
            with self.subTest(query):
                self.fails(400, f"/v1/services?{query}")

    def test_an_error_of_the_code_shows_nothing(self) -> None:
        self.state.error = RuntimeError("secret")
        with self.assertLogs("nova_cachemig.api.dispatch", "ERROR"):
            error = self.fails(500, "/v1/services")
        self.assertNotIn("secret", str(error))

    def test_a_response_that_its_schema_does_not_allow(self) -> None:
        self.state.found_services = [service("shop", "x") | {"phase": "unheard"}]
        with self.assertLogs("nova_cachemig.api.dispatch", "WARNING"):
            self.fails(500, "/v1/services?all_projects=true")
