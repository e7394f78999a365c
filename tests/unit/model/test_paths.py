"""All spellings of a path are one."""

from __future__ import annotations

import unittest
from urllib.parse import urljoin, urlsplit

from hypothesis import given, settings
from hypothesis import strategies as st

from nova_cachemig.model.paths import canonical, resolve

_SEGMENT = st.text(st.sampled_from("abzAZ09-_.~é+:@"), min_size=1, max_size=6).filter(
    lambda text: text.strip(".")
)
_PATHS = st.lists(_SEGMENT, max_size=4)


@st.composite
def spelled(draw: st.DrawFn, segments: list[str]) -> str:
    """Another spelling of the path with these segments."""
    text = ""
    for segment in segments:
        text += draw(st.sampled_from(["/", "//", "/./", "/x/../", "/%2e/", "/y/%2E%2e/"]))
        for byte in segment.encode():
            code = draw(st.sampled_from(["%{:02x}", "%{:02X}", ""]))
            plain = chr(byte) if 0x20 < byte < 0x7F else f"%{byte:02X}"
            text += code.format(byte) or plain
    return text + draw(st.sampled_from(["", "/", "?", "?a=1", "/?a", "/.", "#b", ";p=1"]))


class CanonicalTest(unittest.TestCase):
    @settings(deadline=None)
    @given(st.data(), _PATHS)
    def test_all_spellings_are_one(self, data: st.DataObject, segments: list[str]) -> None:
        want = b"/" + "/".join(segments).encode().lower()
        self.assertEqual(want, canonical(data.draw(spelled(segments))))

    def test_different_paths(self) -> None:
        urls = ["/", "/a", "/a/b", "/b/a", "/ab", "/a%2561", "/a%3Fb", "/é"]
        self.assertEqual(len(urls), len(set(map(canonical, urls))))

    def test_the_root(self) -> None:
        for url in ("", "/", "//", "?", "?q", "/..", "/a/..", "/.", "#", "/;x"):
            self.assertEqual(b"/", canonical(url))

    def test_bytes_of_a_request_and_of_a_log(self) -> None:
        self.assertEqual(canonical("/%C3%A9"), canonical("/Ã©"))
        self.assertEqual(canonical("/%E2%82%AC"), canonical("/€"))
        self.assertEqual(b"/\xff", canonical("/ÿ"))


class ResolveTest(unittest.TestCase):
    @settings(deadline=None)
    @given(
        st.sampled_from(["/", "/a", "/a/b", "/a/b/?c=/d/e"]),
        st.sampled_from(
            [
                "",
                "x",
                "../x",
                "./",
                "/x/y",
                "?q",
                "x?q#f",
                "#f",
                "//h/x",
                "http://h:1/x/y?z",
                "HTTP://h",
            ]
        ),
    )
    def test_as_the_library_does(self, url: str, reference: str) -> None:
        want = urlsplit(urljoin(f"http://shop.example{url}", reference)).path
        self.assertEqual(canonical(want), canonical(resolve(url, reference)))

    @given(st.text(max_size=30), st.text(max_size=30))
    def test_any_text_has_a_path(self, url: str, reference: str) -> None:
        self.assertTrue(canonical(resolve(url, reference)).startswith(b"/"))


if __name__ == "__main__":
    unittest.main()
