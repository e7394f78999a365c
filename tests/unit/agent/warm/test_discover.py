"""The references of HTML and CSS."""

import gzip
import re
import time
import unittest

from hypothesis import given
from hypothesis import strategies as st

from nova_cachemig.agent.warm import discover
from nova_cachemig.conf import warm as warm_conf
from nova_cachemig.model.policy import Policy, Rule
from nova_cachemig.popularity.askable import Rules

HTML = {"content-type": "text/html; charset=utf-8"}
CSS = {"content-type": "text/css"}


EXCLUDED = re.compile(next(o.default for o in warm_conf.OPTS if o.name == "discover_links_never"))


def both(text, base="/shop/index.html", headers=HTML, limit=100_000, **more):
    body = text if isinstance(text, bytes) else text.encode()
    return discover.find_references(base, "shop.example:8080", headers, body, limit=limit, **more)


def found(text, **more):
    references = both(text, **more)
    assert references.links == []
    return references.embedded


def links(text, excluded=EXCLUDED, **more):
    references = both(text, excluded=excluded, **more)
    assert references.embedded == []
    return references.links


class EmbeddedTest(unittest.TestCase):
    def test_resources_that_a_browser_fetches(self):
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

    def test_other_references_are_not_embedded(self):
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

    def test_queries_only_on_request(self):
        text = "<img src=/chart?x=1&amp;y=2><img src=/a.png?v=1&amp;w=2>"
        self.assertEqual(["/a.png?v=1&w=2"], found(text))
        self.assertEqual(["/chart?x=1&y=2", "/a.png?v=1&w=2"], found(text, queries=True))

    def test_embedded_urls_that_may_act_or_have_secrets(self):
        text = "<img src=/cron.php><img src=/a.png?token=5><img src=/b.png?action=count>"
        self.assertEqual([], found(text, queries=True))
        rules = Rules(Policy(own=(Rule(("/img/*",), never=True),)))
        self.assertEqual(["/c.png"], found("<img src=/img/x.png><img src=/c.png>", rules=rules))

    def test_each_once_in_order_without_fragment(self):
        self.assertEqual(
            ["/b.svg", "/a.svg"], found("<img src=/b.svg#x><img src=/a.svg><img src=/b.svg>")
        )

    def test_a_base_element_ends_the_search(self):
        self.assertEqual([], found("<base href=http://evil.example/><img src=a.png>"))

    def test_not_in_comments_nor_in_scripts(self):
        self.assertEqual(
            ["/a.png", "/b.js", "/c.png"],
            found(
                """<img src=/a.png><!-- <img src=/no.png> --><script src=/b.js>
                w("<img src=/no.png>")</SCRIPT><!--><img src=/c.png><script>
                "<img src=/no.png>"</script><!-- <img src=/no.png>"""
            ),
        )
        self.assertEqual([], found("<script>x = '<img src=/no.png>'"))

    def test_urls_that_cannot_be_sent(self):
        self.assertEqual([], found("<img src='/a b.png'><img src='/é.png'><img src='http://['>"))
        self.assertEqual(["/ab.png"], found("<img src='/a&#10;b.png'>"))  # as in browsers


class LinksTest(unittest.TestCase):
    def test_links_that_a_user_may_follow(self):
        self.assertEqual(
            ["/shop/b.html", "/area", "/2.html", "/0.html", "/soon", "/shop/", "/same"],
            links(
                """<a class=x href='b.html#part'>b</a><area href=/area><link rel=next href=/2.html>
                <link rel=prev href=/0.html><link rel=prefetch href=/soon><a href=.>up</a>
                <a href=http://SHOP.example:8080/same>s</a>"""
            ),
        )

    def test_links_that_no_user_follows_and_other_hosts(self):
        self.assertEqual(
            [],
            links(
                """<link rel=canonical href=/c><link rel=alternate href=/rss>
                <link rel=dns-prefetch href=/d><a name=x>x</a><form action=/f></form>
                <a href=mailto:a@shop.example>m</a><a href="javascript:void(0)">j</a>
                <a href=//other.example/>o</a><a href=http://shop.example/port>p</a>
                <a href=ftp://shop.example:8080/f>f</a><a href="tel:+1">t</a>
                <!-- <a href=/old>o</a> --><script>w("<a href=/made>")</script>"""
            ),
        )

    def test_the_number_of_either_kind_is_bounded(self):
        text = "".join(f"<a href=/a{i}><img src=/i{i}>" for i in range(600))
        self.assertEqual([500, 500], [len(urls) for urls in both(text, excluded=EXCLUDED)])

    def test_only_on_request(self):
        self.assertEqual([], links("<a href=/a>", excluded=None))

    def test_links_that_the_page_does_not_vouch_for(self):
        for attributes in (
            "rel=nofollow", "rel='noopener UGC'", "rel=sponsored", "download", "download=x.csv",
            "data-method=delete", "data-turbo-method=post",
        ):  # fmt: skip
            with self.subTest(attributes):
                self.assertEqual([], links(f"<a {attributes} href=/a>"))
        self.assertEqual([], links("<link rel='next nofollow' href=/2>"))
        self.assertEqual(["/a"], links("<a rel=noopener href=/a>"))

    def test_a_page_that_forbids_to_follow_links(self):
        for content in ("nofollow", "NoIndex, NOFOLLOW", "none", "noindex,nofollow"):
            for text in ("<meta name=robots content='{}'><a href=/a>",
                         "<a href=/a><META content='{}' NAME=Robots>"):  # fmt: skip
                with self.subTest(content):
                    self.assertEqual([], links(text.format(content)))
            header = HTML | {"x-robots-tag": content}
            self.assertEqual([], links("<a href=/a>", headers=header))
        for content in ("noindex", "all", ""):
            self.assertEqual(["/a"], links(f"<meta name=robots content='{content}'><a href=/a>"))
        self.assertEqual(["/a"], links("<meta name=author content=nofollow><a href=/a>"))
        meta = "<meta name=robots content=nofollow>"
        self.assertEqual(["/a.png"], both(f"{meta}<img src=/a.png>", excluded=EXCLUDED).embedded)

    def test_no_queries(self):
        text = "<a href='?page=2'><a href=/x?a=1&amp;b=2><a href=/y;lang=A1>"
        self.assertEqual([], links(text))
        self.assertEqual([], links(text, queries=True))

    def test_parameters_that_the_policy_ignores(self):
        rules = Rules(Policy(own=(Rule(ignore_query=("utm_*", "r")),)))
        text = "<a href=/a?utm_source=x><a href=/a?utm_source=y><a href=/b?page=2&amp;r=1>"
        self.assertEqual(["/a"], links(text, rules=rules))
        self.assertEqual(["/c"], found("<img src=/c?r=1><img src=/c?r=2>", rules=rules))

    def test_no_secrets(self):
        self.assertEqual([], links("<a href=/reset/3f5c9a7be1><a href=/in/a@shop.example>"))

    def test_actions_are_excluded_by_default(self):
        for url in (
            "/logout", "/user/SignOut", "/log-off", "/unsubscribe/me", "/deleteItem",
            "/item/5/delete", "/removed", "/cart/add/5", "/add-to-cart", "/cart_add.php",
            "/cartAdd", "/item/5/edit", "/Edit", "/EDIT", "/admin", "/wp-admin/x", "/api/v1/run",
            "/login", "/d%65lete/5",
            "/vote/5/up", "/backup.tar.gz", "/film.MP4", "/posts/5/like", "/order-now",
            "/user-edit/5",
        ):  # fmt: skip
            with self.subTest(url):
                self.assertEqual([], links(f"<a href='{url}'>"))

    def test_other_pages_are_not_excluded(self):
        for url in (
            "/", "/item/86", "/page/7", "/about.html", "/news/2", "/posts/5", "/address/",
            "/payroll", "/capital-cities", "/blog/how-to-edit-a-film-well", "/ladder",
            "/credits", "/orders",
            "/border-collie", "/editorial", "/starters", "/photo.jpg", "/a-z", "/catalogue/1",
        ):  # fmt: skip
            with self.subTest(url):
                self.assertEqual([url], links(f"<a href='{url}'>"))

    def test_another_pattern(self):
        text = "<a href=/api/x><a href=/secret/x><a href=/delete>"
        self.assertEqual(["/api/x"], links(text, excluded=re.compile("^/secret/")))
        self.assertEqual(["/api/x", "/secret/x"], links(text, excluded=re.compile("(?!)")))


class BodyTest(unittest.TestCase):
    def test_body_limit(self):
        self.assertEqual(7, discover.body_limit(HTML, 7))
        self.assertEqual(7, discover.body_limit(CSS | {"content-encoding": "gzip"}, 7))
        self.assertEqual(0, discover.body_limit(CSS | {"content-encoding": "br"}, 7))
        self.assertEqual(0, discover.body_limit({"content-type": "image/png"}, 7))
        self.assertEqual(0, discover.body_limit({}, 7))

    def test_gzip_also_if_incomplete(self):
        body = gzip.compress(b"<img src=/a.png>" + bytes(range(256)) * 100)
        headers = HTML | {"content-encoding": "gzip"}
        self.assertEqual(["/a.png"], found(body, headers=headers))
        self.assertEqual(["/a.png"], found(body[: len(body) // 2], headers=headers))
        self.assertEqual([], found(b"not gzip", headers=headers))

    def test_a_decompression_bomb_is_not_unpacked(self):
        body = gzip.compress(b" " * 50_000_000 + b"<img src=/late.png>")
        self.assertEqual([], found(body, headers=HTML | {"content-encoding": "gzip"}, limit=10_000))

    def test_limit(self):
        self.assertEqual(["/a"], found("<img src=/a><img src=/b>", limit=15))

    @given(
        st.text(alphabet="<>imgscrptlnkahef=\"' /.?&#:;@[]()url\n\\%é", max_size=300), st.booleans()
    )
    def test_any_text(self, text, queries):
        for headers in (HTML, CSS):
            embedded, linked = both(text, headers=headers, excluded=EXCLUDED, queries=queries)
            for url in embedded + linked:
                self.assertRegex(url, r"\A/[\x21-\x7e]*\Z")
                self.assertNotIn("#", url)

    def test_the_cost_is_linear(self):
        for text in (
            "<img ", "<a href='", "url(", "<style>", "@import '", "<a title=\"'", "url('",
            "<style></style", "<img src", "<img src=a", "srcset=a, ", "x=\"' ", "href=\n", "<!--",
            "<!-- -->", "<script>", "<a href=/x>", "<a href=a-add-add/>",
        ):  # fmt: skip
            body = ("<img " + text * (256 * 1024 // len(text))).encode()
            with self.subTest(text):
                began = time.process_time()
                both(body, limit=len(body), excluded=EXCLUDED)
                both(body, limit=len(body), headers=CSS)
                self.assertLess(time.process_time() - began, 2.0)  # quadratic: minutes
