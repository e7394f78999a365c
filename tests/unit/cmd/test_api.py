"""``nova-cachemig-api``: a wrong configuration is one line; Gunicorn gets the options of [api]."""

from __future__ import annotations

import contextlib
import io
import logging
import tempfile
import unittest
from pathlib import Path
from unittest import mock

import webob

from nova_cachemig.cmd import api

_BUS = "[DEFAULT]\ntransport_url = fake://\n"
_KEYSTONE = (
    "[keystone_authtoken]\nauth_type = password\nauth_url = http://127.0.0.1:1\n"
    "www_authenticate_uri = http://keystone.example.org\n"
)
_NOVA = "[nova]\nauth_type = none\n"
_ALL = _BUS + _KEYSTONE + _NOVA


class MainTest(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.config = Path(folder.name) / "api.conf"
        # log.setup() is faked, so the level that another test has set would stay.
        self.addCleanup(logging.root.setLevel, logging.root.level)
        self.enterContext(mock.patch.object(api.log, "setup"))

    def configured(self, text: str) -> tuple[api.cfg.ConfigOpts, object]:
        self.config.write_text(text)
        return api.configured(["--config-file", str(self.config)])

    def test_a_mistake_in_the_configuration_is_one_line(self) -> None:
        for text, words in (
            ("", r"\[DEFAULT\] transport_url is not set"),
            (f"{_BUS}[api]\nworkers = many\n", "workers"),
            (_BUS, r"\[keystone_authtoken\] auth_type is not set"),
            (_BUS + _KEYSTONE, r"\[nova\] auth_type is not set"),
        ):
            self.config.write_text(text)
            err = io.StringIO()
            arguments = [api.PROG, "--config-file", str(self.config)]
            with (
                self.subTest(text),
                mock.patch("sys.argv", arguments),
                contextlib.redirect_stderr(err),
            ):
                self.assertEqual(2, api.main())
            self.assertRegex(err.getvalue(), rf"^nova-cachemig-api: .*{words}.*\n$")

    def test_the_application_asks_for_a_token(self) -> None:
        _, application = self.configured(_ALL)
        response = webob.Request.blank("/v1/services").get_response(application)
        self.assertEqual(401, response.status_int)
        self.assertIn("keystone.example.org", response.headers["WWW-Authenticate"])
        self.assertEqual(200, webob.Request.blank("/").get_response(application).status_int)

    def test_gunicorn_gets_the_options(self) -> None:
        options = "[api]\nbind_host = ::1\nbind_port = 9000\nworkers = 3\nthreads = 7\n"
        conf, application = self.configured(_ALL + options)
        server = api._Server(conf, application)
        self.assertEqual(["[::1]:9000"], server.cfg.bind)
        self.assertEqual((3, 7), (server.cfg.workers, server.cfg.threads))
        self.assertIs(application, server.load())

    def test_the_factory_reads_the_usual_files(self) -> None:
        self.config.write_text(_ALL)
        found = [str(self.config)]
        with mock.patch.object(api.cfg, "find_config_files", return_value=found):
            self.assertTrue(callable(api.application()))
