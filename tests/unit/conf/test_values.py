"""The errors of wrong values: one sentence with the file, the option, and the right values."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from unittest import mock

from oslo_config import cfg

from nova_cachemig.conf import compute, values
from tests.unit.conf.case import ConfTest


class ValuesTest(ConfTest):
    def refused(self, text: str) -> str:
        with self.assertRaises(cfg.Error) as raised:
            self.read(text)
        self.assertNotIn("LocationInfo", str(raised.exception))
        return str(raised.exception)

    def test_the_sentence_names_the_file_the_value_and_what_is_right(self) -> None:
        for group, line, right in (
            ("engine", "threads = abc", "write a whole number from 1 to 64"),
            ("engine", "threads = 65", "write a whole number from 1 to 64"),
            ("engine", "forwarded_for = perhaps", "write true or false"),
            ("engine", "trusted_proxies = 10.0.0.0/24, lb", "each item an IP address or ADDRESS"),
            ("agent", "serve_journal = all", "write one of "),
            ("engine", "cache_size = 1t", "write a text that matches ^[1-9]"),
            ("engine", "max_object_size = 1t", "write a number of bytes from "),
            ("warm", "half_lives = 200,abc", "commas, each item a whole number of at least 1"),
            ("journal", "resume_delay = -1", "write a number of at least 0"),
        ):
            with self.subTest(line):
                error = self.refused(f"[{group}]\n{line}\n")
                self.assertRegex(error, rf"^/\S+/nova-cachemig\.conf: \[{group}\] {line} is not ")
                self.assertIn(right, error)

    def test_the_former_name_of_an_option(self) -> None:
        error = self.refused("[journal]\nsettle = soon\n")
        self.assertRegex(error, r"\[journal\] resume_delay = soon is not valid: write a number")

    def test_a_value_in_the_environment(self) -> None:
        with mock.patch.dict(os.environ, {"OS_ENGINE__THREADS": "many"}):
            error = self.refused("")
        self.assertRegex(error, r"^OS_ENGINE__THREADS: \[engine\] threads = many is not valid: ")

    def test_the_value_of_a_secret_is_not_shown(self) -> None:
        error = self.refused("[telemetry]\nprometheus_url = user:hidden\n")
        self.assertRegex(error, r": \[telemetry\] prometheus_url is not valid: write a URL [^u]*$")
        option = cfg.IntOpt("threads", secret=True, min=1)
        with mock.patch.object(values, "list_agent_opts", return_value=[("engine", [option])]):
            error = self.refused("[engine]\nthreads = hidden\n")
        self.assertRegex(error, r": \[engine\] threads is not valid: write .* of at least 1$")

    def test_an_option_of_a_library(self) -> None:
        with mock.patch.object(values, "list_agent_opts", return_value=[]):
            error = self.refused("[engine]\nthreads = 0\n")
        self.assertRegex(error, r": \[engine\] threads is not valid: Should be greater than")

    def test_an_option_in_default(self) -> None:
        conf = cfg.ConfigOpts()
        conf.register_opt(cfg.BoolOpt("audit"))
        path = Path(self.enterContext(tempfile.TemporaryDirectory()), "nova.conf")
        path.write_text("[DEFAULT]\naudit = perhaps\n")
        conf([], default_config_files=[str(path)])
        with self.assertRaisesRegex(cfg.Error, rf"^{path}: \[DEFAULT\] audit is not valid: \w+"):
            values.check(conf)

    def test_a_dollar_sign(self) -> None:
        error = self.refused("[telemetry]\nprometheus_url = http://user:hid$den@h\n")
        right = "[telemetry] prometheus_url is not valid: write $$ for a dollar sign"
        self.assertEqual(right, error)

    def test_nova_reads_the_default_instead_of_a_value_that_is_not_valid(self) -> None:
        path = Path(self.enterContext(tempfile.TemporaryDirectory()), "nova.conf")
        path.write_text(
            "[cachemig]\nwarm_timeout = 301\nwatch_guests = perhaps\n"
            "transport_url = rabbit://user:hid$den@h/\nrpc_timeout = 3\n"
        )
        conf = cfg.ConfigOpts()
        conf([], default_config_files=[str(path)])
        compute.register(conf)
        self.assertCountEqual(
            [
                "[cachemig] transport_url is not valid: write $$ for a dollar sign",
                f"{path}: [cachemig] warm_timeout = 301 is not valid: write a whole number from "
                "0 to 300",
                f"{path}: [cachemig] watch_guests = perhaps is not valid: write true or false",
            ],
            values.use_defaults(conf, "cachemig"),
        )
        conf.log_opt_values(mock.Mock(), 0)  # as a service of Nova does when it starts
        ours = conf.cachemig
        self.assertEqual(
            (30, True, None, 3.0),
            (ours.warm_timeout, ours.watch_guests, ours.transport_url, ours.rpc_timeout),
        )
        self.assertEqual([], values.use_defaults(conf, "cachemig"))

    def test_another_text_of_the_library_is_kept(self) -> None:
        conf = mock.MagicMock(spec=cfg.ConfigOpts)
        group = mock.MagicMock(spec=cfg.ConfigOpts.GroupAttr)
        conf.__iter__.return_value = ["engine"]
        conf.__getitem__.return_value = group
        group.__iter__.return_value = ["threads"]
        group.__getitem__.side_effect = cfg.ConfigFileValueError("it is odd")
        with self.assertRaisesRegex(cfg.Error, r"^\[engine\] threads is not valid: it is odd$"):
            values.check(conf)
