"""The machine's view of a write in the journal."""

from __future__ import annotations

import dataclasses
import unittest

from oslo_config import cfg

from nova_cachemig.agent.replay.entries import entry_of, limits
from nova_cachemig.conf import setup
from nova_cachemig.model.service import SendProxy, Service
from nova_cachemig.model.write import AcceptedWrite, Body

SERVICE = Service("shop", "6f70656e-7374-4163-8b21-000000000001", 80, ("127.0.0.1", 80))


def write(url: str, host: str) -> AcceptedWrite:
    return AcceptedWrite("shop", 1, 0.0, "PUT", url, host, (), Body.of(b"x"), "192.0.2.1")


class LimitsTest(unittest.TestCase):
    def test_a_connection_that_names_a_client_carries_one_write_at_a_time(self) -> None:
        conf = cfg.ConfigOpts()
        setup.register_all(conf)
        conf([], default_config_files=[])
        proxied = dataclasses.replace(SERVICE, send_proxy=SendProxy.V2)
        found = [limits(conf, service, 10).pipeline for service in (SERVICE, proxied)]
        self.assertEqual([conf.journal.pipeline, 1], found)


class EntryTest(unittest.TestCase):
    def test_a_page_is_the_same_under_all_host_names(self) -> None:
        hosts = ("shop.example", "www.shop.example:8080", "")
        pages = {entry_of(write("/p?x=1", host), SERVICE).page for host in hosts}
        self.assertEqual(1, len(pages))
        self.assertNotIn(entry_of(write("/p?x=2", ""), SERVICE).page, pages)

    def test_conditions(self) -> None:
        for name, expected in (("if-match", True), ("if", True), ("if-range", False)):
            one = dataclasses.replace(write("/p", ""), headers=(("accept", "*/*"), (name, "x")))
            self.assertIs(expected, entry_of(one, SERVICE).conditional)
