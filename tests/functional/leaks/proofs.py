"""Pages that the warmer has fetched and proved, and users who must not get them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from tests.functional.leaks.names import DIMENSIONS, LOGINS
from tests.functional.leaks.way import Fields, User, Way

WHO, LANGUAGE, SCHEME = 1, 2, 4
"""What was seen to be alike for all values."""

ALL = WHO | LANGUAGE | SCHEME

NONCE = 5

Step = tuple[str, int]
"""Of the warmer: fetch with a nonce, commit a value, try. Of a user: write."""

_ORDINARY = {
    "User-Agent": WHO,
    "Accept": WHO,
    "Sec-CH-UA": WHO,
    "Sec-CH-UA-Mobile": WHO,
    "X-Forwarded-For": WHO,
    "Referer": WHO,
    "Cookie": WHO,
    "Accept-Language": LANGUAGE,
    "X-Forwarded-Proto": SCHEME,
    "X-Forwarded-Host": SCHEME,
    "X-Forwarded-Port": SCHEME,
    "Forwarded": SCHEME,
}
"""The fields in which the warmer's strangers differ."""


def value(nonce: int, flags: int) -> int:
    """Return what the warmer commits."""
    return nonce * 8 + flags


@dataclasses.dataclass(frozen=True)
class Proof:
    """``way.first`` has the warmer's fields, ``way.second`` is a user in the silence.

    ``steps`` are of the handover, ``before`` of the one before. ``found``: the number of the fetch
    whose response he gets; None: of none.
    """

    way: Way
    steps: tuple[Step, ...]
    before: tuple[Step, ...] = ()
    found: int | None = None


_FETCHED: Step = ("fetch", NONCE)
_PROVED: Step = ("commit", value(NONCE, ALL))
_OTHER: Step = ("fetch", NONCE + 1)


def _way(name: str, user: User, warmer: Fields = ()) -> Way:
    return Way(f"proof: {name}", User(warmer), user, unique=True)


def _with_flags(
    name: str, user: User, flags: int = ALL, *, warmer: Fields = (), found: int | None = None
) -> Proof:
    steps = (_FETCHED, ("commit", value(NONCE, flags)))
    return Proof(_way(name, user, warmer), steps, found=found)


def _field(name: str, who: str) -> Fields:
    return ((name, f"_ga=secret-{who}" if name == "Cookie" else f"secret-{who}"),)


def _stranger(*fields: tuple[str, str], method: str = "GET") -> User:
    return User(fields, address="127.0.0.3", method=method)


def alike() -> Iterator[Proof]:
    """Yield users who get the page: else the other proofs would show nothing."""
    yield _with_flags("all alike", _stranger(), found=0)
    for name in ("User-Agent", "Accept-Language", "X-Forwarded-Proto"):
        user = _stranger(*_field(name, "b"))
        yield _with_flags(f"another {name}", user, warmer=_field(name, "a"), found=0)
    language = _field("Accept-Language", "a")
    yield _with_flags("equal language", _stranger(*language), WHO, warmer=language, found=0)
    steps = (_FETCHED, _PROVED, _OTHER)
    yield Proof(_way("another fetched, not committed", _stranger()), steps, found=0)
    steps = (_FETCHED, _PROVED, ("write", 0), _OTHER, ("commit", value(NONCE + 1, ALL)))
    yield Proof(_way("written and proved again", _stranger()), steps, found=1)


def dimensions() -> Iterator[Proof]:
    """Yield users who differ from the warmer in something that was not seen to be alike."""
    for name, bit in _ORDINARY.items():
        sides: dict[str, tuple[Fields, Fields]] = {
            "another": (_field(name, "a"), _field(name, "b")),
            "no": (_field(name, "a"), ()),
            "some": ((), _field(name, "b")),
        }
        for side, (warmer, fields) in sides.items():
            for flags in (flags for flags in range(ALL + 1) if not flags & bit):
                label = f"{side} {name}, alike {flags}"
                yield _with_flags(label, _stranger(*fields), flags, warmer=warmer)
    for name in (one for one in DIMENSIONS if one not in _ORDINARY):
        yield _with_flags(f"{name}, which no stranger has", _stranger(*_field(name, "b")))


def logins() -> Iterator[Proof]:
    """Yield users who say who they are."""
    for name in (*LOGINS, "Authorization"):
        yield _with_flags(f"login {name}", _stranger(*_field(name, "b")))
    yield _with_flags("login cookie", _stranger(("Cookie", "sessionid=secret-b")))


def unproved() -> Iterator[Proof]:
    """Yield pages without a proof that still holds."""
    language, part = ("Accept-Language", "secret-b"), ("Range", "bytes=0-")
    for form, user in (
        ("GET", _stranger(language)),
        ("HEAD", _stranger(language, method="HEAD")),
        ("Range", _stranger(language, part)),
    ):
        label = f"{form}, another language"
        yield _with_flags(label, user, WHO, warmer=_field("Accept-Language", "a"))
        for name, steps in {
            "no commit": (_FETCHED,),
            "another nonce": (_FETCHED, ("commit", value(NONCE + 1, ALL))),
            "withdrawn": (_FETCHED, _PROVED, ("commit", 0)),
            "withdrawn, another fetched": (_FETCHED, _PROVED, ("commit", 0), _OTHER),
            "tried": (("try", 0), _PROVED),
            "written": (_FETCHED, _PROVED, ("write", 0)),
            "written, another fetched": (_FETCHED, _PROVED, ("write", 0), _OTHER),
            "written and tried": (_FETCHED, _PROVED, ("write", 0), ("try", 0)),
        }.items():
            yield Proof(_way(f"{form}, {name}", user), steps)


def earlier() -> Iterator[Proof]:
    """Yield pages that were proved in an earlier handover."""
    before = (_FETCHED, _PROVED)
    for name, steps in {
        "nothing": (),
        "another fetched": (_OTHER,),
        "the nonce fetched": (_FETCHED,),
        "committed": (_PROVED,),
    }.items():
        yield Proof(_way(f"earlier, {name}", _stranger()), steps, before)
