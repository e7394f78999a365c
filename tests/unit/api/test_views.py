"""Times, links and pages."""

from __future__ import annotations

import unittest
from unittest import mock

from nova_cachemig.api import views
from nova_cachemig.api.call import Request


class ViewsTest(unittest.TestCase):
    def setUp(self) -> None:
        unused = mock.Mock()
        self.request = Request(unused, unused, unused, "http://x/base", 10)

    def test_time(self) -> None:
        self.assertEqual("2023-11-14T22:13:20.500Z", views.time(1.7e9 + 0.5))
        self.assertIsNone(views.time(None))

    def test_self_links_quote_what_a_path_cannot_have(self) -> None:
        (link,) = views.self_links(self.request, "handovers", "a/b", "c?d")
        self.assertEqual("http://x/base/v1/handovers/a%2Fb/c%3Fd", link["href"])

    def test_an_empty_page_has_no_link(self) -> None:
        self.assertEqual({"things": []}, views.page(self.request, "things", [], more=True))
        page = views.page(self.request, "things", [{"id": "a"}], more=True)
        self.assertEqual("http://x/base/v1/things?marker=a", page["things_links"][0]["href"])
