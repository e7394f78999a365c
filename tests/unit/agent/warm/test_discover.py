"""What HTML and CSS embed."""

import gzip
import time
import unittest

from hypothesis import given
from hypothesis import strategies as st

from nova_cachemig.agent.warm import discover

HTML = {"content-type": "text/html; charset=utf-8"}
CSS = {"content-type": "text/css"}


def found(text, base="/shop/index.html", headers=HTML, limit=100_000, **more):
    body = text if isinstance(text, bytes) else text.encode()
    return discover.found(base, "shop.example:8080", headers, body, limit=limit, **more)


class EmbeddedTest(unittest.TestCase):
    def test_what_a_browser_fetches_by_itself(self):
        self.assertEqual(
            ["/shop/a.png", "/b.js", "/shop/c.css", "/d.css", "/e.ico", "/s1.png", "/s2.png",
             "/poster.jpg", "/go.gif", "/f.woff2"],
            found(
                """<IMG alt=x SRC='a.png'><script defer src=/b.js></script>
                <link rel="stylesheet" href="c.css">
                <link href=/d.css rel="preload stylesheet" as=style>
                <link rel="shortcut icon" href="/e.ico">
                <picture><source srcset="/s1.png 1x, /s2.png 2x"></picture>
                <video poster=/poster.jpg src=/film.mp4></video><input type=image src=/go.gif>
                <style>@font-face { src: url( "/f.woff2" ) }</style>"""
            ),
        )  # fmt: skip

    def test_not_what_a_user_would_have_to_ask_for(self):
        self.assertEqual(
            [],
            found(
                """<a href=/next.html>n</a><form action=/buy method=post><input name=src value=/x>
                <link rel=next href=/2.html><link rel=dns-prefetch href=/d><iframe src=/ad></iframe>
                <img data-src=/lazy.png title="src=/title.png"><a href="javascript:void(0)">"""
            ),
        )

    def test_css(self):
        self.assertEqual(
            ["/shop/a.png", "/b.png", "/c.css"],
            found("x{background:url(a.png)} y{background:URL('/b.png')} @import \"/c.css\";"
                  " z{background:url(data:image/png;base64,AAAA)}", headers=CSS),
        )  # fmt: skip

    def test_only_the_same_host(self):
        self.assertEqual(
            ["/same.png", "/also.png"],
            found(
                """<img src=http://shop.example:8080/same.png><img src=//SHOP.example:8080/also.png>
                <img src=http://shop.example/port.png><img src=https://cdn.example/x.png>
                <img src=//evil.example/y.png><img src="ftp://shop.example:8080/z.png">
                <img src=http://u@shop.example:8080/u.png>"""
            ),
        )

    def test_no_queries_unless_asked(self):
        text = "<img src=/a.png?v=1&amp;w=2>"
        self.assertEqual([], found(text))
        self.assertEqual(["/a.png?v=1&w=2"], found(text, queries=True))

    def test_each_once_in_order_without_fragment(self):
        self.assertEqual(
            ["/b.svg", "/a.svg"], found("<img src=/b.svg#x><img src=/a.svg><img src=/b.svg>")
        )

    def test_base_element_ends_the_search(self):
        self.assertEqual([], found("<base href=http://evil.example/><img src=a.png>"))

    def test_cannot_be_sent(self):
        self.assertEqual([], found("<img src='/a b.png'><img src='/é.png'><img src='http://['>"))
        self.assertEqual(["/ab.png"], found("<img src='/a&#10;b.png'>"))  # as browsers do


class LinksTest(unittest.TestCase):
    def test_on_request_and_never_actions(self):
        text = "".join(
            f"<a href={url}>"
            for url in ("/about.html", "/logout", "/user/SignOut", "/cart/add/5", "/deleteItem",
                        "/admin", "/x?confirm=1", "/news/2", "/unsubscribe", "/api/v1/run")
        )  # fmt: skip
        self.assertEqual([], found(text))
        self.assertEqual(["/about.html", "/news/2"], found(text, links=True, queries=True))
        self.assertEqual([], found("<a href=/file download>", links=True))


class BodyTest(unittest.TestCase):
    def test_wanted(self):
        self.assertEqual(7, discover.wanted(HTML, 7))
        self.assertEqual(7, discover.wanted(CSS | {"content-encoding": "gzip"}, 7))
        self.assertEqual(0, discover.wanted(CSS | {"content-encoding": "br"}, 7))
        self.assertEqual(0, discover.wanted({"content-type": "image/png"}, 7))
        self.assertEqual(0, discover.wanted({}, 7))

    def test_gzip_even_if_cut(self):
        body = gzip.compress(b"<img src=/a.png>" + bytes(range(256)) * 100)
        headers = HTML | {"content-encoding": "gzip"}
        self.assertEqual(["/a.png"], found(body, headers=headers))
        self.assertEqual(["/a.png"], found(body[: len(body) // 2], headers=headers))
        self.assertEqual([], found(b"not gzip", headers=headers))

    def test_bomb_is_not_unpacked(self):
        body = gzip.compress(b" " * 50_000_000 + b"<img src=/late.png>")
        self.assertEqual([], found(body, headers=HTML | {"content-encoding": "gzip"}, limit=10_000))

    def test_limit(self):
        self.assertEqual(["/a"], found("<img src=/a><img src=/b>", limit=15))

    @given(
        st.text(alphabet="<>imgscrptlnkahef=\"' /.?&#:;@[]()url\n\\%é", max_size=300), st.booleans()
    )
    def test_any_text(self, text, links):
        for headers in (HTML, CSS):
            for url in found(text, headers=headers, links=links, queries=True):
                self.assertRegex(url, r"\A/[\x21-\x7e]*\Z")
                self.assertNotIn("#", url)

    def test_linear(self):
        for text in (
            "<img ", "<a href='", "url(", "<style>", "@import '", "<a title=\"'", "url('",
            "<style></style", "<img src", "<img src=a", "srcset=a, ", "x=\"' ", "href=\n",
        ):  # fmt: skip
            body = ("<img " + text * (256 * 1024 // len(text))).encode()
            with self.subTest(text):
                began = time.process_time()
                found(body, limit=len(body), links=True)
                found(body, limit=len(body), headers=CSS)
                self.assertLess(time.process_time() - began, 2.0)  # quadratic: minutes
