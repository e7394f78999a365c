"""The option that gives hosts their names in Nova."""

from __future__ import annotations

import tempfile
import unittest

from hypothesis import given
from hypothesis import strategies as st
from oslo_config import cfg

from nova_cachemig.conf import telemetry
from nova_cachemig.conf.telemetry import HostNames

ADDRESSES = st.ip_addresses(v=6).map(str)
NAMES = st.from_regex(r"[a-z_][a-z0-9._-]{0,10}", fullmatch=True)


class Parsing(unittest.TestCase):
    def test_every_form(self) -> None:
        for text, names in (
            ("", {}),
            ("10.0.0.11:cmp1", {"10.0.0.11": "cmp1"}),
            (
                "10.0.0.11:cmp1, old:new.example.org",
                {"10.0.0.11": "cmp1", "old": "new.example.org"},
            ),
            ("[2001:db8::11]:cmp1", {"2001:db8::11": "cmp1"}),
            ("2001:db8::11:cmp1", {"2001:db8::11": "cmp1"}),
            ("[2001:db8::11]:2001:db8::12", {"2001:db8::11": "2001:db8::12"}),
            ("cmp1:2001:db8::12", {"cmp1": "2001:db8::12"}),
            ("10.0.0.11:cmp_1,old_1:cmp_2", {"10.0.0.11": "cmp_1", "old_1": "cmp_2"}),
        ):
            with self.subTest(text=text):
                self.assertEqual(names, HostNames()(text))

    def test_what_is_no_list_of_names(self) -> None:
        for text in ("cmp1", ":cmp1", "10.0.0.11:", "[2001:db8::11]", "[]:cmp1", "a:b,a:c"):
            with self.subTest(text=text), self.assertRaises(ValueError):
                HostNames()(text)

    def test_a_port_is_no_part_of_a_name(self) -> None:
        for text in ("[2001:db8::11]:9100:cmp1", "10.0.0.11:9100:cmp1", "cmp1.example.org:9100:a"):
            with self.subTest(text=text), self.assertRaisesRegex(ValueError, "without its port"):
                HostNames()(text)

    def test_two_notations_of_an_address_are_one_host(self) -> None:
        with self.assertRaisesRegex(ValueError, "two names for 2001:db8:0::11"):
            HostNames()("[2001:db8::11]:cmp1,[2001:db8:0::11]:cmp2")

    @given(st.dictionaries(ADDRESSES | NAMES, NAMES, max_size=4))
    def test_what_is_written_is_read_again(self, names: dict[str, str]) -> None:
        option = HostNames()
        self.assertEqual(names, option(option.format_defaults(names)[0]))

    @given(ADDRESSES, NAMES)
    def test_brackets_may_be_left_out(self, address: str, name: str) -> None:
        self.assertEqual({address: name}, HostNames()(f"{address}:{name}"))


class FromAFile(unittest.TestCase):
    def test_the_option_reads_a_file(self) -> None:
        conf = self.read("prometheus_host_names = [2001:db8::11]:cmp1,10.0.0.12:cmp2")
        self.assertEqual(
            {"2001:db8::11": "cmp1", "10.0.0.12": "cmp2"}, conf.telemetry.prometheus_host_names
        )

    def read(self, text: str) -> cfg.ConfigOpts:
        with tempfile.NamedTemporaryFile("w", suffix=".conf") as file:
            file.write(f"[telemetry]\n{text}\n")
            file.flush()
            conf = cfg.ConfigOpts()
            telemetry.register(conf)
            conf([], default_config_files=[file.name], default_config_dirs=[])
            return conf

    def test_a_wrong_url_is_refused_without_its_password(self) -> None:
        for url in ("prom:9090", "ftp://me:opensesame@prom", "me:opensesame@prom:9090", ""):
            with self.subTest(url), self.assertRaises(cfg.ConfigFileValueError) as caught:
                _ = self.read(f"prometheus_url = {url}").telemetry.prometheus_url
            self.assertIn("not a URL that begins with http", str(caught.exception))
            self.assertNotIn("opensesame", str(caught.exception))

    def test_a_server_with_an_underscore(self) -> None:
        url = "https://prom_1.example.org:9090"
        self.assertEqual(url, self.read(f"prometheus_url = {url}").telemetry.prometheus_url)

    def test_headers_are_lines(self) -> None:
        conf = self.read("prometheus_header = X-Scope-OrgID: a,b\nprometheus_header = B: c")
        self.assertEqual(["X-Scope-OrgID: a,b", "B: c"], conf.telemetry.prometheus_header)

    def test_what_is_secret(self) -> None:
        secret = {option.name for option in telemetry.OPTS if option.secret}
        self.assertEqual(
            {"transport_urls", "prometheus_url", "prometheus_password", "prometheus_header"}, secret
        )
