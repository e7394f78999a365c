"""The middlewares: versions and the health check need no token; every error has one form."""

from __future__ import annotations

from unittest import mock

import jsonschema
import keystoneauth1.exceptions
from keystonemiddleware import auth_token

from nova_cachemig.api.errors import ERRORS_SCHEMA
from tests.unit.api.case import ApiCase


class PipelineTest(ApiCase):
    def test_the_versions_need_no_token(self) -> None:
        (version,) = self.ask("/", None).json["versions"]
        self.assertEqual(("v1", "1.0", "1.0"), tuple(version[k] for k in _VERSION))
        self.assertEqual("http://localhost/v1/", version["links"][0]["href"])
        for path in ("/v1", "/v1/"):
            self.assertEqual({"version": version}, self.ask(path, None).json)
        self.assertEqual("cachemig.method-not-allowed", self.fails(405, "/", None, "POST")["code"])

    def test_the_health_check_needs_no_token(self) -> None:
        self.assertEqual(200, self.ask("/healthcheck", None).status_int)

    def test_each_other_path_needs_one(self) -> None:
        for path in ("/v1/services", "/v1/writes/shop/1", "/v2", "/v1/nothing"):
            with self.subTest(path):
                error = self.fails(401, path, None)
                self.assertEqual("cachemig.unauthorized", error["code"])
        self.assertIn("WWW-Authenticate", self.ask("/v1/services", None).headers)
        self.fails(401, "/v1/services", "unknown-token")

    def test_a_keystone_that_cannot_be_asked_is_not_an_error_of_the_api(self) -> None:
        fault = keystoneauth1.exceptions.EndpointNotFound()
        with mock.patch.object(auth_token.AuthProtocol, "fetch_token", side_effect=fault):
            self.assertEqual("cachemig.unavailable", self.fails(503, "/v1/services")["code"])

    def test_every_error_has_the_form_and_the_id_of_the_request(self) -> None:
        for path, persona, method, body in (
            ("/v1/services", None, "GET", None),
            ("/v1/nothing", "admin", "GET", None),
            ("/v1/services", "admin", "PUT", None),
            ("/v1/services?limit=x", "admin", "GET", None),
            ("/v1/services/none", "admin", "GET", None),
            ("/v1/services", "none", "GET", None),
            ("/v1/writes/shop/1/action", "admin", "POST", b"x" * 200_000),
        ):
            with self.subTest(path=path, method=method):
                response = self.ask(path, persona, method, body)
                jsonschema.validate(response.json, ERRORS_SCHEMA)
                (error,) = response.json["errors"]
                self.assertEqual(response.status_int, error["status"])
                self.assertEqual(response.headers["x-openstack-request-id"], error["request_id"])
                self.assertTrue(error["request_id"].startswith("req-"))
        self.assertEqual(413, response.status_int)


_VERSION = ("id", "min_version", "max_version")
