"""Header fields of requests: their syntax, sizes and number, conditions, ranges, codings."""

from __future__ import annotations

from collections.abc import Iterator

from tests.functional.twin.case import ID, STORABLE, Case, answer, case, request, write

_FIELDS = {
    "an empty value": (b"X-Empty", b""),
    "spaces around a value": (b"X-Spaces", b"  a  b \t"),
    "a tab inside": (b"X-Tab", b"a\tb"),
    "Latin-1": (b"X-Name", b"caf\xe9"),
    "UTF-8": (b"X-Name", b"caf\xc3\xa9"),
    "a quoted string": (b"X-Quoted", b'"a\\"b, c"'),
    "a comment": (b"X-Comment", b"a (b) c"),
    "commas": (b"X-List", b"a,, b,"),
    "a semicolon": (b"X-Parameters", b"a;b=c;;"),
    "all letters of a token": (b"X!#$%&'*+-.^_`|~9", b"a"),
    "an underscore in the name": (b"x_user_id", b"7"),
    "a name of one letter": (b"A", b"b"),
    "a colon in the value": (b"X-Colon", b"a:b: c"),
    "User-Agent": (b"User-Agent", b"Mozilla/5.0 (X11; Linux x86_64) twin/1"),
    "Accept": (b"Accept", b"application/json, text/html;q=0.5, */*;q=0.1"),
    "Accept-Language": (b"Accept-Language", b"de-AT, de;q=0.8"),
    "Referer": (b"Referer", b"http://shop.example/a?b"),
    "Origin": (b"Origin", b"https://other.example"),
    "X-Requested-With": (b"X-Requested-With", b"XMLHttpRequest"),
    "From": (b"From", b"user@shop.example"),
    "DNT": (b"DNT", b"1"),
    "Via": (b"Via", b"1.1 proxy.example"),
    "Forwarded": (b"Forwarded", b'for="[2001:db8::1]";proto=https'),
    "X-Forwarded-For": (b"X-Forwarded-For", b"192.0.2.1, 192.0.2.2"),
    "X-Forwarded-Proto": (b"X-Forwarded-Proto", b"https"),
    "X-Forwarded-Host": (b"X-Forwarded-Host", b"www.shop.example"),
    "X-Real-IP": (b"X-Real-IP", b"192.0.2.1"),
    "Max-Forwards": (b"Max-Forwards", b"5"),
    "Date": (b"Date", b"Sun, 06 Nov 1994 08:49:37 GMT"),
    "Pragma": (b"Pragma", b"no-cache"),
    "Cache-Control: no-cache": (b"Cache-Control", b"no-cache"),
    "Cache-Control: no-store": (b"Cache-Control", b"no-store"),
    "Cache-Control: max-age=0": (b"Cache-Control", b"max-age=0"),
    "Cookie": (b"Cookie", b"a=b; c=d"),
    "a cookie without a name": (b"Cookie", b"a; =b; ;c"),
    "Authorization: Basic": (b"Authorization", b"Basic dXNlcjpwYXNz"),
    "Authorization: Bearer": (b"Authorization", b"Bearer abc.def"),
    "Proxy-Authorization": (b"Proxy-Authorization", b"Basic dXNlcjpwYXNz"),
    "TE": (b"TE", b"trailers"),
    "Priority": (b"Priority", b"u=1, i"),
    "traceparent": (b"traceparent", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
    "X-HTTP-Method-Override": (b"X-HTTP-Method-Override", b"DELETE"),
    "Accept: text/event-stream": (b"Accept", b"text/event-stream"),
}

_PAIRS = {
    "two lines of one field": ((b"X-Twice", b"a"), (b"x-twice", b"b")),
    "two Cookie lines": ((b"Cookie", b"a=b"), (b"Cookie", b"c=d")),
    "two Accept lines": ((b"Accept", b"text/html"), (b"Accept", b"text/plain")),
    "two X-Forwarded-For lines": (
        (b"X-Forwarded-For", b"1.2.3.4"),
        (b"X-Forwarded-For", b"5.6.7.8"),
    ),
    "a named hop-by-hop field": ((b"Connection", b"x-hop, keep-alive"), (b"X-Hop", b"1")),
    "Keep-Alive": ((b"Connection", b"keep-alive"), (b"Keep-Alive", b"timeout=5")),
    "Proxy-Connection": ((b"Proxy-Connection", b"keep-alive"),),
    "an upgrade that is not taken": ((b"Connection", b"Upgrade"), (b"Upgrade", b"h2c")),
}

_ETAG = (*STORABLE, (b"ETag", b'"1"'), (b"Last-Modified", b"Sun, 06 Nov 1994 08:49:37 GMT"))

_CONDITIONS = {
    "If-None-Match, another": (b"If-None-Match", b'"2"'),
    "If-None-Match, a list": (b"If-None-Match", b'"2", W/"3"'),
    "If-Match": (b"If-Match", b'"1"'),
    "If-Modified-Since, older": (b"If-Modified-Since", b"Sat, 05 Nov 1994 08:49:37 GMT"),
    "If-Modified-Since, no date": (b"If-Modified-Since", b"yesterday"),
    "If-Unmodified-Since": (b"If-Unmodified-Since", b"Mon, 07 Nov 1994 08:49:37 GMT"),
    "Range of another unit": (b"Range", b"lines=1-2"),
    "Range without a number": (b"Range", b"bytes=-"),
}

_ENCODINGS = (b"gzip", b"identity", b"gzip, deflate, br, zstd", b"br;q=1, gzip;q=0", b"*", b"")


def cases() -> Iterator[Case]:
    """Yield the cases."""
    for name, one in _FIELDS.items():
        yield case(f"field: {name}", request(headers=(one,)))
    for name in ("UTF-8", "Cookie", "Authorization: Basic", "X-HTTP-Method-Override", "Via"):
        yield case(f"field: {name}, written", write(headers=(_FIELDS[name],)))
    for name, several in _PAIRS.items():
        yield case(f"field: {name}", request(headers=several))
        yield case(f"field: {name}, written", write(headers=several))
    yield case("field: no space behind the colon", request().replace(b"X-Case: ", b"X-Case:"))
    for size in (1, 2, 4, 8, 12, 14, 15, 16, 20, 24):
        large = ((b"X-Large", b"x" * (size * 1000)),)
        most = size == 24  # RFC 6585, section 5: a server has a limit
        yield case(f"size: a field of {size} kB", request(headers=large), alone=most)
        yield case(f"size: a field of {size} kB, written", write(headers=large), alone=most)
    for number in (50, 100, 200):
        many = tuple((b"X-%d" % one, b"1") for one in range(number))
        yield case(f"size: {number} fields", request(headers=many))
    yield case("size: 14 kB in 14 fields", request(headers=((b"X-Many", b"x" * 1000),) * 14))
    for name, one in _CONDITIONS.items():
        reply = answer(headers=_ETAG)
        yield case(f"condition: {name}", request(headers=(one,)), answer=reply)
    reply = answer(b"304 Not Modified", b"", headers=_ETAG, length=False)
    one = (b"If-None-Match", b'"1"')
    yield case("condition: If-None-Match, the same", request(headers=(one,)), answer=reply)
    reply = answer(b"412 Precondition Failed", headers=_ETAG)
    yield case("condition: 412", write(b"PUT", headers=((b"If-Match", b'"0"'),)), answer=reply)
    part = (*_ETAG, (b"Content-Range", b"bytes 0-3/16"))
    reply = answer(b"206 Partial Content", b"the ", headers=part)
    for name, value in (("", b"bytes=0-3"), (" of a list", b"bytes=0-1,2-3")):
        yield case(f"condition: Range{name}", request(headers=((b"Range", value),)), answer=reply)
    for value in _ENCODINGS:
        asked = ((b"Accept-Encoding", value),)
        yield case(f"coding: asked for {value.decode() or 'none'}", request(headers=asked))
    for coding in (b"gzip", b"br", b"x-other"):
        reply = answer(headers=(*STORABLE, (b"Content-Encoding", coding)), body=b"coded " + ID)
        name = f"coding: the guest sends {coding.decode()}"
        yield case(name, request(headers=((b"Accept-Encoding", coding),)), answer=reply)
