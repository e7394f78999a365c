"""Pages for browsers whose form is accepted."""

import unittest

from nova_cachemig.agent.intake import page


class PageTest(unittest.TestCase):
    def test_a_page_that_leads_to_the_status_url(self):
        response = page.page_response(202, page.SAVED, "/s?a&b", ("location", "/s"), refresh=True)
        text = response.body.data.decode()
        self.assertIn("<title>Saved, being applied</title>", text)
        self.assertIn('<a href="/s?a&amp;b">', text)
        self.assertIn('content="2; url=/s?a&amp;b"', text)
        headers = dict(response.headers)
        self.assertEqual(("no-store", "/s"), (headers["cache-control"], headers["location"]))
        self.assertIn("retry-after", headers)
        self.assertNotIn("<script", text)

    def test_what_is_not_known_is_not_asked_again_and_again(self):
        response = page.page_response(200, page.UNKNOWN, "/s", refresh=False)
        self.assertNotIn("http-equiv", response.body.data.decode())
        self.assertNotIn("retry-after", dict(response.headers))

    def test_nothing_of_the_url_is_markup(self):
        text = page.page_response(202, page.SAVED, '/"><script>', refresh=True).body.data.decode()
        self.assertNotIn("<script", text)
