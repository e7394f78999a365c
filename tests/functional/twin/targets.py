"""Request lines: odd URLs, absolute forms, hosts."""

from __future__ import annotations

from collections.abc import Iterator

from tests.functional.twin.case import HOST, ID, Case, case, request

_PATHS = {
    "root with a query": b"/?" + ID,
    "empty query": b"/" + ID + b"?",
    "two question marks": b"/" + ID + b"??a=1",
    "parameters": b"/" + ID + b";v=1,2",
    "dot segments": b"/a/./b/../" + ID,
    "dot segments at the end": b"/" + ID + b"/..",
    "above the root": b"/../../" + ID,
    "two slashes": b"//" + ID,
    "two slashes inside": b"/a//" + ID,
    "a slash at the end": b"/" + ID + b"/",
    "encoded unreserved": b"/%7E%61/" + ID,
    "encoded in lower case": b"/%c3%a9/" + ID,
    "encoded slash": b"/a%2Fb/" + ID,
    "encoded dot segments": b"/a/%2e%2e/" + ID,
    "encoded question mark": b"/a%3Fb/" + ID,
    "encoded hash": b"/a%23b/" + ID,
    "encoded percent": b"/a%2525/" + ID,
    "encoded NUL": b"/a%00b/" + ID,
    "encoded line break": b"/a%0d%0ab/" + ID,
    "encoded space": b"/a%20b/" + ID,
    "a plus": b"/a+b/" + ID + b"?q=a+b",
    "a percent alone": b"/100%/" + ID,
    "a percent without digits": b"/%zz/" + ID,
    "a percent with one digit": b"/" + ID + b"?q=%a",
    "encoded by %u": b"/%u00e9/" + ID,
    "sub-delimiters": b"/!$&'()*+,;=:@/" + ID,
    "brackets": b"/" + ID + b"?a[]=1&a[]=2",
    "braces": b"/" + ID + b"?q={1}",
    "a pipe": b"/" + ID + b"?q=a|b",
    "a backslash": b"/a\\b/" + ID,
    "a caret and a backtick": b"/a^b`c/" + ID,
    "a quote": b'/"a"/' + ID,
    "angles": b"/<a>/" + ID,
    "UTF-8": b"/caf\xc3\xa9/" + ID,
    "UTF-8 in the query": b"/" + ID + b"?q=caf\xc3\xa9",
    "Latin-1": b"/caf\xe9/" + ID,
    "a URL inside": b"/" + ID + b"/http://other.example/x",
    "a URL in the query": b"/" + ID + b"?u=http://other.example/x?y=z&a=b",
    "a colon in the first segment": b"/a:b/" + ID,
    "an at sign": b"/@user/" + ID,
    "an empty parameter": b"/" + ID + b"?&&a&=b&",
}

_HOSTS = {
    "upper case": b"SHOP.Example",
    "a port": b"shop.example:8080",
    "the default port": b"shop.example:80",
    "a dot at the end": b"shop.example.",
    "an address": b"192.0.2.7",
    "an IPv6 address": b"[2001:db8::1]",
    "an IPv6 address and a port": b"[2001:db8::1]:8080",
    "one label": b"localhost",
    "an underscore": b"my_shop.example",
    "punycode": b"xn--bcher-kva.example",
    "63 letters": b"a" * 63 + b".example",
    "empty": b"",
}

_FORMS = {
    "absolute": b"http://" + HOST + b"/" + ID,
    "absolute in upper case": b"HTTP://SHOP.EXAMPLE/" + ID,
    "absolute with TLS": b"https://" + HOST + b"/" + ID,
    "absolute with the default port": b"http://" + HOST + b":80/" + ID,
    "absolute with a query only": b"http://" + HOST + b"?" + ID,
}


def cases() -> Iterator[Case]:
    """Yield the cases."""
    for name, path in _PATHS.items():
        yield case(f"path: {name}", request(path))
    for size in (1, 4, 8, 12, 16):
        yield case(f"path of {size} kB", request(b"/" + ID + b"/" + b"x" * (size * 1000)))
        yield case(f"query of {size} kB", request(b"/" + ID + b"?" + b"x" * (size * 1000)))
    for name, host in _HOSTS.items():
        yield case(f"host: {name}", request(host=host))
    for name, target in _FORMS.items():
        yield case(f"form: {name}", request(target))
        yield case(
            f"form: {name}, written", request(target, b"PUT", ((b"Content-Length", b"1"),), b"x")
        )
    yield case("form: asterisk", request(b"*", b"OPTIONS"))
