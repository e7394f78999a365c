"""The corpus of ways to personalise."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from tests.functional.leaks.names import COOKIES, DIMENSIONS, LOGINS
from tests.functional.leaks.way import LIFETIMES, Fields, User, Way, by_field

_STRANGER = User(address="127.0.0.3")

_UNSHARED: dict[str, Fields] = {
    "nothing": (),
    "private": (("Cache-Control", "private"),),
    "private and max-age": (("Cache-Control", "private, max-age=600"),),
    "no-store": (("Cache-Control", "no-store"),),
    "no-cache": (("Cache-Control", "no-cache"),),
    "no-cache with a field": (("Cache-Control", 'public, max-age=600, no-cache="Set-Cookie"'),),
    "private with a field": (("Cache-Control", 'max-age=600, private="X-User"'),),
    "max-age=0": (("Cache-Control", "max-age=0"),),
    "max-age=0, must-revalidate": (("Cache-Control", "max-age=0, must-revalidate"),),
    "s-maxage=0": (("Cache-Control", "s-maxage=0, max-age=600"),),
    "must-revalidate": (("Cache-Control", "must-revalidate"),),
    "Expires: 0": (("Expires", "0"),),
    "Expires: -1": (("Expires", "-1"),),
    "Expires in the past": (("Expires", "Sun, 06 Nov 1994 08:49:37 GMT"),),
    "Pragma": (("Pragma", "no-cache"),),
    "an ETag": (("ETag", '"1"'),),
    "Last-Modified": (("Last-Modified", "Sun, 06 Nov 1994 08:49:37 GMT"),),
    "Vary: *": (("Cache-Control", "max-age=600"), ("Vary", "*")),
    "CDN-Cache-Control: no-store": (
        ("Cache-Control", "public, max-age=600"),
        ("CDN-Cache-Control", "no-store"),
    ),
    "CDN-Cache-Control: private": (
        ("Cache-Control", "public, max-age=600"),
        ("CDN-Cache-Control", "private"),
    ),
    "CDN-Cache-Control: max-age=0": (
        ("Cache-Control", "public, max-age=600"),
        ("CDN-Cache-Control", "max-age=0"),
    ),
    "Surrogate-Control: no-store": (
        ("Cache-Control", "public, max-age=600"),
        ("Surrogate-Control", "no-store"),
    ),
    "Surrogate-Control: max-age=0": (
        ("Cache-Control", "max-age=600"),
        ("Surrogate-Control", "max-age=0"),
    ),
    "upper case": (("Cache-Control", "PRIVATE"),),
    "spaces": (("Cache-Control", " max-age = 600 , private "),),
}

_SESSIONS: dict[str, Fields] = {
    "Set-Cookie": (("Set-Cookie", "sid=secret-cookie"),),
    "Set-Cookie2": (("Set-Cookie2", "sid=secret-cookie"),),
}


def logins() -> Iterator[Way]:
    """Yield the fields that name a user or a secret of his."""
    for name in LOGINS:
        yield from by_field(name)
    for scheme in ("Basic", "Bearer", "Digest", "Token", "AWS4-HMAC-SHA256"):
        value = f"{scheme} secret-{{}}"
        for way in by_field("Authorization", value):
            yield Way(f"{scheme} {way.name}", way.first, way.second, way.reply)


def dimensions() -> Iterator[Way]:
    """Yield the fields that name no user, and by which pages differ nevertheless."""
    for name in DIMENSIONS:
        yield from by_field(name)
    first, second = (User((("Accept-Language", f"secret-{who}"),)) for who in "ab")
    for vary in ("Accept-Language", "accept-language, accept", "Accept-Encoding", "Cookie"):
        public = (*LIFETIMES["public"], ("Vary", vary))
        yield Way(f"a language with Vary: {vary}", first, second, public)
    for name, target in (("query", "@?user=secret-{}"), ("path", "@/secret-{}")):
        first, second = (User(target=target.format(who)) for who in "ab")
        yield Way(f"another {name}", first, second, LIFETIMES["public"])
    for name, form in (
        ("userinfo", "http://secret-{}@shop.example@"),
        ("host in absolute form", "http://secret-{}.example@"),
    ):
        first, second = (User(target=form.format(who)) for who in "ab")
        for key, reply in LIFETIMES.items():
            yield Way(f"{name}, {key}", first, second, reply)
            yield Way(f"{name}, {key}, then none", first, User(), reply)
    first, second = (User(host=f"secret-{who}.example") for who in "ab")
    yield Way("another host", first, second, LIFETIMES["public"])


def cookies() -> Iterator[Way]:
    """Yield the cookies of well-known frameworks, alone and among others."""
    for name in COOKIES:
        first, second = (User((("Cookie", f"{name}=secret-{who}"),)) for who in "ab")
        for key, reply in LIFETIMES.items():
            yield Way(f"cookie {name}, {key}", first, second, reply)
        yield Way(f"cookie {name}, then none", first, User(), LIFETIMES["public"])
    shapes: dict[str, Fields] = {
        "behind _ga": (("Cookie", "_ga=GA1.1.2.3; sessionid=secret-{}"),),
        "before _ga": (("Cookie", "sessionid=secret-{}; _ga=GA1.1.2.3"),),
        "on a second line": (("Cookie", "_ga=GA1.1.2.3"), ("Cookie", "sessionid=secret-{}")),
        "without a name": (("Cookie", "secret-{}"),),
        "with a comma": (("Cookie", "_ga=1, sessionid=secret-{}"),),
        "without a space": (("Cookie", "_ga=1;sessionid=secret-{}"),),
        "in quotes": (("Cookie", '_ga="1; sessionid=secret-{}"'),),
        "twice": (("Cookie", "sessionid=1; sessionid=secret-{}"),),
        "in upper case": (("COOKIE", "SESSIONID=secret-{}"),),
    }
    for key, lines in shapes.items():
        first, second = (
            User(tuple((name, value.format(who)) for name, value in lines)) for who in "ab"
        )
        yield Way(f"cookie {key}", first, second, LIFETIMES["public"])


def responses() -> Iterator[Way]:
    """Yield pages that differ each time, and say in some way that they are not shared."""
    for key, reply in _UNSHARED.items():
        yield Way(f"a page with {key}", User(), _STRANGER, reply, unique=True)
    for name, session in _SESSIONS.items():
        for key, reply in LIFETIMES.items():
            for who, other in (("another address", _STRANGER), ("the same address", User())):
                label = f"{name}, {key}, {who}"
                yield Way(label, User(), other, (*session, *reply), unique=True)


def addresses() -> Iterator[Way]:
    """Yield pages for the client's address, which nothing declares shared."""
    for key in ("nothing", "an ETag", "Last-Modified", "private", "no-cache", "Expires: 0"):
        yield Way(f"address, {key}", User(), _STRANGER, _UNSHARED[key])
    for name in ("X-Forwarded-For", "Forwarded"):
        first, second = (User(((name, f"for=secret-{who}"),)) for who in "ab")
        for key, reply in LIFETIMES.items():
            yield Way(f"{name}, {key}", first, second, reply)


def _as_head(user: User) -> User:
    return dataclasses.replace(user, method="HEAD")


def _as_range(user: User) -> User:
    return dataclasses.replace(user, fields=(*user.fields, ("Range", "bytes=0-")))


def _typical() -> Iterator[Way]:
    """Yield one way of each kind that the other functions have."""
    for name in ("X-Auth-Token", "Accept-Language", "User-Agent", "X-Forwarded-Proto", "X-Unknown"):
        yield from by_field(name)
    first, second = (User((("Cookie", f"sessionid=secret-{who}"),)) for who in "ab")
    for key, reply in LIFETIMES.items():
        yield Way(f"cookie, {key}", first, second, reply)
    for key in ("nothing", "private", "no-store", "max-age=0", "Expires: 0"):
        yield Way(f"address, {key}", User(), _STRANGER, _UNSHARED[key])
        yield Way(f"a page with {key}", User(), _STRANGER, _UNSHARED[key], unique=True)


def partial() -> Iterator[Way]:
    """Yield requests without a body in the response, or for a part of it, on either side."""
    for form, change in (("HEAD", _as_head), ("Range", _as_range)):
        for way in _typical():
            names = f"{form} of {way.name}", f"after {form}: {way.name}"
            yield dataclasses.replace(way, name=names[0], second=change(way.second))
            yield dataclasses.replace(way, name=names[1], first=change(way.first))


def shared() -> Iterator[Way]:
    """Yield users who get the first one's page in the silence: else no other way shows anything."""
    declared: dict[str, Fields] = {
        "max-age": (("Cache-Control", "max-age=600"),),
        "s-maxage": (("Cache-Control", "s-maxage=600"),),
        "public": (("Cache-Control", "public, max-age=600"),),
        "Expires": (("Expires", "Fri, 01 Jan 2100 00:00:00 GMT"),),
    }
    for key, reply in declared.items():
        yield Way(f"a stranger, {key}", User(), _STRANGER, reply, unique=True)
    fields: dict[str, Fields] = {
        "nothing": (),
        "a cookie": (("Cookie", "sessionid=secret-a"),),
        "a token": (("X-Auth-Token", "secret-a"),),
        "a language": (("Accept-Language", "secret-a"),),
        "an unknown field": (("X-Unknown", "secret-a"),),
    }
    for name, lines in fields.items():
        for key, reply in LIFETIMES.items():
            user = User(lines)
            yield Way(f"the same user, {name}, {key}", user, user, reply, unique=True)


def waiting() -> Iterator[Way]:
    """Yield the ways for requests that wait for the guest."""
    for way in _typical():
        yield dataclasses.replace(way, name=f"waiting: {way.name}")
    for way in partial():
        if " of " in way.name:
            yield dataclasses.replace(way, name=f"waiting: {way.name}")
