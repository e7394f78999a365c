"""Proofs that pages are alike, with sites that depend on parts of a request."""

import hashlib
import unittest

from hypothesis import given
from hypothesis import strategies as st

from nova_cachemig.agent.warm.proof import (
    ALL,
    MAX_REQUESTS,
    WHO,
    Dimension,
    Trial,
    Verdict,
    sample,
)

ADDRESS, COOKIES, BROWSER, ACCEPT, REFERER, LANGUAGE = Dimension
STRANGERS = [{d: f"{d.name} {i}" for d in Dimension} for i in range(3)]


def response(body, status=200, **headers):
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return sample(status, named, hashlib.sha256(body.encode()).digest())


def prove(site, strangers=STRANGERS):
    """Return the proof and the number of further requests; ``site``: stranger -> sample."""
    trial = Trial(*strangers, site(strangers[0]))
    sent = 0
    while (stranger := trial.next()) is not None:
        trial.add(site(stranger))
        sent += 1
    return trial.proof, sent


def site_of(dimensions, **more):
    return lambda stranger: response(repr([stranger.get(d) for d in Dimension if d in dimensions]),
                                     **more)  # fmt: skip


class ProofTest(unittest.TestCase):
    @given(st.frozensets(st.sampled_from(list(Dimension))))
    def test_nothing_on_which_a_page_depends_is_alike(self, depends):
        proof, sent = prove(site_of(depends))
        self.assertFalse(proof.alike & depends)
        self.assertLessEqual(sent, MAX_REQUESTS)
        if not depends:
            self.assertEqual((Verdict.PROVED, ALL, 3, 2),
                             (proof.verdict, proof.alike, proof.flags, sent))  # fmt: skip
        elif not depends & WHO:
            self.assertEqual((Verdict.PROVED, WHO, 1), (proof.verdict, proof.alike, proof.flags))
        else:
            self.assertEqual((Verdict.DEPENDENT, 0), (proof.verdict, proof.flags))

    @given(
        st.frozensets(st.sampled_from(list(Dimension))),
        st.lists(st.dictionaries(st.sampled_from(list(Dimension)), st.sampled_from("abc")),
                 min_size=3, max_size=3),
        st.dictionaries(st.sampled_from(["vary", "cache_control", "set_cookie"]), st.text()),
    )  # fmt: skip
    def test_any_strangers(self, depends, strangers, headers):
        proof, sent = prove(site_of(depends, **headers), strangers)
        tried = {d for d in Dimension if len({s.get(d) for s in strangers}) == 3}
        self.assertLessEqual(proof.alike, tried)
        self.assertFalse(proof.alike & depends)
        self.assertLessEqual(sent, MAX_REQUESTS)
        self.assertEqual(bool(proof.flags), proof.verdict is Verdict.PROVED)
        if proof.flags:
            self.assertLessEqual(WHO - {COOKIES}, proof.alike | proof.declared)

    @given(st.lists(st.integers(0, 5), min_size=5, max_size=5, unique=True))
    def test_a_page_that_changes_with_each_request_is_never_proved(self, bodies):
        numbers = iter(bodies)
        proof, _ = prove(lambda stranger: response(str(next(numbers))))
        self.assertEqual((0, Verdict.CHANGING), (proof.flags, proof.verdict))

    def test_one_of_two_versions_at_random(self):
        for bodies in ("aab", "abb", "abab", "abaab"):
            versions = iter(bodies)
            proof, _ = prove(lambda stranger, versions=versions: response(next(versions)))
            self.assertEqual(0, proof.flags, bodies)

    def test_each_byte_and_header_counts(self):
        for other in (
            response("b"), response("a", 404), response("a", etag="2"), response("a", link="</x>"),
        ):  # fmt: skip
            bodies = iter([response("a", etag="1"), response("a", etag="1"), other])
            self.assertEqual(0, prove(lambda _, b=bodies: next(b))[0].flags)

    def test_headers_that_say_nothing_about_the_page(self):
        dates = iter(range(9))
        proof, _ = prove(
            lambda _: response("a", date=str(next(dates)), x_cachemig_served=str(next(dates)))
        )
        self.assertEqual(ALL, proof.alike)

    def test_responses_that_forbid_sharing(self):
        for headers in (
            {"set_cookie": "a=b"}, {"set_cookie2": "a"}, {"vary": "accept, *"},
            {"cache_control": "max-age=5, Private"}, {"cache_control": "no-store"},
            {"cache_control": 'no-cache="x"'}, {"status": 403}, {"status": 500}, {"status": 302},
            {"cdn_cache_control": "private"}, {"surrogate_control": "no-store"},
        ):  # fmt: skip
            with self.subTest(headers):
                proof, sent = prove(site_of((), **headers))
                self.assertEqual((Verdict.FORBIDDEN, 0, 0), (proof.verdict, proof.flags, sent))
        self.assertEqual(ALL, prove(site_of((), cache_control="max-age=5, x-private"))[0].alike)

    def test_an_unknown_body_is_not_compared(self):
        proof, sent = prove(lambda _: sample(200, {}, b""))
        self.assertEqual((0, 0), (proof.flags, sent))

    def test_a_cookie_in_a_later_response(self):
        later = iter([response("a"), response("a", set_cookie="a=b"), *[response("a")] * 3])
        self.assertNotIn(LANGUAGE, prove(lambda _: next(later))[0].alike)

    def test_a_declared_dimension_is_not_tried(self):
        proof, _ = prove(site_of({LANGUAGE, BROWSER}, vary="Accept-Language, Cookie, User-Agent"))
        self.assertEqual((ALL - {LANGUAGE, BROWSER}, 1), (proof.alike, proof.flags))
        asked = []

        def site(stranger):
            asked.append(stranger)
            return response("a", vary="accept-language")

        prove(site)
        self.assertEqual({STRANGERS[0][LANGUAGE]}, {stranger[LANGUAGE] for stranger in asked})

    def test_an_absent_header_is_a_value(self):
        strangers = [{**one} for one in STRANGERS]
        del strangers[0][COOKIES]
        self.assertEqual(ALL, prove(site_of(()), strangers)[0].alike)
        self.assertEqual(0, prove(site_of({COOKIES}), strangers)[0].flags)

    def test_without_cookies_of_scripts(self):
        strangers = [{d: v for d, v in one.items() if d is not COOKIES} for one in STRANGERS]
        self.assertEqual(3, prove(site_of(()), strangers)[0].flags)

    def test_who_must_be_tried(self):
        for dimension in WHO - {COOKIES}:
            strangers = [{**one, dimension: "same"} for one in STRANGERS]
            self.assertEqual(0, prove(site_of(()), strangers)[0].flags, dimension)
