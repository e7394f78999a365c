"""Secrets in URLs."""

import base64
import random
import string
import unittest
import uuid

from hypothesis import given
from hypothesis import strategies as st

from nova_cachemig.model import secret
from nova_cachemig.model.urltext import word_set

SECRET = sorted(
    word_set(
        """
/reset/MQ/c5x9d2-0a9f8e7d6c5b4a39281706f5e4d3c2b1/
/password/reset/1f3870be274f6c49b3e31a0c6728957f?email=a%40shop.example
/verify-email/1/3f2b8c?expires=1700000000&signature=5d41402abc4b2a76b9719d911017c592
/bucket/report.pdf?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=A&X-Amz-Signature=ab
/bucket/o?GoogleAccessId=x&Expires=1&Signature=ab
/c/b.txt?sv=2020-08-04&se=2030-01-01&sr=b&sp=r&sig=ab%2Fcd
/job/deploy/build?token=abc
/wp-login.php?action=logout&_wpnonce=5e1c9a7b33
/wp-admin/post.php?post=1&_wpnonce=x
/viewtopic.php?t=5&sid=0123456789abcdef0123456789abcdef
/page.jsp;jsessionid=0A1B
/index.php?PHPSESSID=1
/mod/quiz/view.php?id=5&sesskey=Ab1
/oauth/callback?code=x&state=y
/cas?ticket=ST-1
/users/confirmation?confirmation_token=x
/api/v4/projects?private_token=glpat-abc
/dashboard/issues.atom?feed_token=abc
/-/feed?rss_token=abc
/mailman/options/list/user--at--shop.example
/unsubscribe/a@shop.example
/in?u=a%2540shop.example
/go?to=http://user:pw@inner.example/
//user:pw@inner.example/a
/hello?jwt=1
/eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln
/d/550e8400-e29b-41d4-a716-446655440000/edit
/d/1A2b3C4d5E6f7G8h9I0j
/commit/da39a3ee5e6b4b0d3255bfef95601890afd80709
/s/Xy7Kd9
/invite/AbCdEfG
/calendar/ical/private-0a9f8e7d6c5b4a39/basic.ics
/rails/active_storage/blobs/redirect/eyJfcmFpbHMiOnsi--5d41402abc/p.png
/a?key=1
/a?Password=1
/a?user%5Bemail%5D=x
/a?authenticity_token=x
/a?csrfmiddlewaretoken=x
/a?form_build_id=form-Xy7Kd9Ab3fGh1Jk
"""
    )
)

PLAIN = sorted(
    word_set(
        """
/
/index.php?title=Special:RecentChanges&limit=50
/2024/05/12/hello-world-again/
/product/iphone-15-pro-max-256gb-blue/?attribute_colour=blue
/wp-content/uploads/2024/05/DSC_0042-1024x768.jpg
/wp-json/wp/v2/posts?per_page=10
/doku.php?id=wiki:syntax
/wiki/Category:Articles_with_short_description
/viewtopic.php?f=2&t=12345&start=25
/node/123456
/api/v1/products?page=3&sort=price&_=1700000000000
/static/admin/css/base.css
/lab/tree/Untitled.ipynb
/reference/ABPersonViewController
/docs/RFC-9111-HTTP-Caching
/@ada
/key-facts
/search?q=how+to+find+a+key
/share/your-story
/events/2024-11-29T10:00:00
"""
    )
)


class FindTest(unittest.TestCase):
    def test_secrets(self):
        for url in SECRET:
            with self.subTest(url):
                self.assertIsNotNone(secret.find(url))

    def test_plain_urls(self):
        for url in PLAIN:
            with self.subTest(url):
                self.assertIsNone(secret.find(url))

    def test_more_names(self):
        self.assertIsNone(secret.find("/a?abo=7"))
        self.assertIsNotNone(secret.find("/a?Abo=7", parameters={"abo"}))

    def test_random_text_only_on_request(self):
        url = "/app.5d41402abc4b2a76b9719d911017c592.css"
        self.assertIsNotNone(secret.find(url))
        self.assertIsNone(secret.find(url, random=False))
        self.assertIsNotNone(secret.find("/a.css?token=1", random=False))

    def test_keys_that_programs_draw(self):
        draw = random.Random(11)
        alphabet = string.ascii_letters + string.digits
        for name, key, share in (
            ("16 bytes in base64", lambda: base64.urlsafe_b64encode(draw.randbytes(16)), 0.005),
            ("32 bytes in base64", lambda: base64.urlsafe_b64encode(draw.randbytes(32)), 0.001),
            ("8 bytes in hex", lambda: draw.randbytes(8).hex().encode(), 0.005),
            ("32 of base32", lambda: base64.b32encode(draw.randbytes(20)), 0.001),
            ("16 letters and digits", lambda: "".join(draw.choices(alphabet, k=16)).encode(), 0.01),
        ):
            missed = [k for k in (key().decode() for _ in range(3000)) if not secret.is_random(k)]
            with self.subTest(name):
                self.assertLessEqual(len(missed), share * 3000, missed[:5])

    @given(st.integers(0, 2**128 - 1), st.sampled_from(["/{}", "/a/{}/b", "/a?x={}", "/a;x={}"]))
    def test_uuids_anywhere(self, number, where):
        self.assertIsNotNone(secret.find(where.format(uuid.UUID(int=number))))

    @given(
        st.from_regex(r"\A[A-Za-z]{1,5}[0-9][A-Za-z0-9]{14,60}[A-Za-z][0-9][A-Za-z]\Z"),
        st.sampled_from(["/{}", "/a/{}/b", "/a?x={}", "/a?{}", "/a?x=b-{}", "/%7a{}/"]),
    )
    def test_long_words_with_letters_and_digits_anywhere(self, word, where):
        self.assertIsNotNone(secret.find(where.format(word)))

    @given(
        st.sampled_from(["token", "api_key", "X-Amz-Signature", "sid", "userPassword", "csrf"]),
        st.text(st.characters(codec="ascii", categories=["L", "N"])),
    )
    def test_names_of_parameters_whatever_the_value(self, name, value):
        for url in (f"/a?{name}={value}", f"/a?b=1&{name.upper()}={value}", f"/a;{name}={value}"):
            self.assertIsNotNone(secret.find(url), url)

    @given(st.text())
    def test_any_text(self, text):
        self.assertIn(type(secret.find("/" + text)), (str, type(None)))


class RedactTest(unittest.TestCase):
    def test_redact(self):
        for url, shown in (
            ("/a/b?c=1", "/a/b?c=1"),
            ("/a?token=x&c=1", "/a?[cut]"),
            ("/a/550e8400-e29b-41d4-a716-446655440000/b", "/a/[cut]/b"),
            ("/a@b.example?x=1", "/[cut]?x=1"),
            ("/s/Xy7Kd9", "/[cut]"),
            ("//u:p@h/", "/[cut]"),
        ):
            self.assertEqual(shown, secret.redact(url))
        self.assertEqual(200, len(secret.redact("/a" * 500)))

    def test_no_secret_is_left(self):
        for url in SECRET:
            with self.subTest(url):
                self.assertIsNone(secret.find(secret.redact(url)))

    @given(st.text())
    def test_any_text(self, text):
        self.assertIsNone(secret.find(secret.redact("/" + text)))
