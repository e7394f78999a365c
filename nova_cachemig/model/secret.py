"""Finds the secrets in a URL. A URL with a secret is neither remembered nor fetched nor logged.

Such a URL is a credential: who has it may reset a password, read a shared document or act as
another user. Secrets are recognized by the names of parameters, by their form (e-mail addresses,
user information, JSON Web Tokens) and by their randomness. An error in one direction costs one page
that is not warm. In the other one it discloses a secret, so what is in doubt is a secret.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Collection
from typing import Final

from nova_cachemig.model import urltext

CUT: Final = "[cut]"

# Words in a parameter's name.
_NAMES: Final = urltext.word_set(
    """auth authorization bearer captcha cfid cftoken code cred creds credential credentials csrf
    email expires formkey hmac invitation invite itok jwt key keys login mac mail mobile nonce otp
    pass passphrase passwd passwort password phone phpsessid pin policy pw pwd relaystate saml
    samlart samlrequest samlresponse secret sess sessid session sesskey sid sig sign signature ssn
    sso state ticket tok token totp user userid username viewstate xsrf"""
)
# Inside one word, for names without a separator.
_WITHIN_NAME: Final = re.compile(
    r"token|nonce|csrf|xsrf|secret|passw|signature|sess(?:ion|id|key)|sessionid|credential"
    r"|(?:api|auth|access|private|form|activation|reset|login|user|secure)_?-?(?:key|code|hash)"
    r"|authenticity|email"
)
# A segment of a path behind one of these is a secret unless it is a word.
_BEFORE_SECRET: Final = urltext.word_set(
    """auth invitation invitations invite invites key magic nonce otp reset s secret session
    sessions share shared shares sid signed ticket token tokens verify"""
)
_EMAIL: Final = re.compile(r"[^\s@/](?:@|--at--)[^\s@/]+\.[^\W\d_]{2,}")
_USERINFO: Final = re.compile(r"//[^/?#\s]*@")
_JWT: Final = re.compile(r"eyJ[\w-]{8,}")
_UUID: Final = re.compile(r"[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}", re.IGNORECASE)
_TOKEN: Final = re.compile(r"[A-Za-z0-9_+=-]{10,}")
_WORD: Final = re.compile(r"[A-Za-z0-9]+")
# A number, or a usual text with a number before or behind it.
_PLAIN: Final = re.compile(r"\d{1,19}|(?:[A-Z]?[a-z]{1,15}|[A-Z]{1,9})\d{0,14}|\d{1,8}[a-z]{1,9}")
# Names of classes and pages: ViewController, desktopArticleTarget.
_NAME: Final = re.compile(r"[A-Z]{0,3}[a-z]{1,15}(?:[A-Z][a-z]{2,14}){1,6}")
_CONSONANTS: Final = re.compile(r"[bcdfghjklmnpqrstvwxz]{5}", re.IGNORECASE)
_VOWEL: Final = re.compile(r"[aeiouy]", re.IGNORECASE)


def find(url: str, *, parameters: Collection[str] = (), random: bool = True) -> str | None:
    """Return the kind of the first secret in a path with or without a query; None: no secret.

    ``parameters``: more names of parameters with secrets, in lower case. ``random``: also look for
    random text. The result never contains the secret.
    """
    parts = urltext.split(url)
    if _USERINFO.search(urltext.decoded(url)):
        return "user information"
    for name, value in parts.parameters:
        if _names_secret(name, parameters):
            return "a parameter with a secret"
        if kind := _kind(value, random=random) or _kind(name, random=random):
            return kind
    before = ""
    for segment in parts.segments:
        if kind := _kind(segment, random=random):
            return kind
        if random and before in _BEFORE_SECRET and _is_code(segment):
            return "a secret behind a name"
        before = segment.lower()
    return None


def redact(url: str) -> str:
    """Return the URL for a log: without its secrets, at most 200 characters."""
    path, mark, query = url.partition("?")
    if mark:
        query = query if find(f"/?{query}") is None else CUT
    if find(path) is not None:
        path = "/".join(CUT if find(f"/{s}") else s for s in path.split("/"))
        if find(path) is not None:  # one that its place makes a secret
            path = f"/{CUT}"
    return f"{path}{mark}{query}"[:200]


def _names_secret(name: str, more: Collection[str]) -> bool:
    words = urltext.words(name)
    return (
        not _NAMES.isdisjoint(words)
        or any(_WITHIN_NAME.search(word) for word in (*words, "".join(words)))
        or name.lower() in more
    )


def _kind(text: str, *, random: bool) -> str | None:
    if _EMAIL.search(text):
        return "an e-mail address"
    if _JWT.search(text):
        return "a JSON Web Token"
    if random and is_random(text):
        return "a random text"
    return None


def is_random(text: str) -> bool:
    """Return whether the text has a part that looks like a key, and not like words or numbers."""
    return _UUID.search(text) is not None or any(
        _random_token(token) for token in _TOKEN.findall(text)
    )


def _random_token(token: str) -> bool:
    words = _WORD.findall(token)
    if any(_random_word(word) for word in words):
        return True
    # base64 has a hyphen or an underscore anywhere, so its words are short, but odd.
    odd = sum(len(word) for word in words if _is_odd(word))
    return len(token) >= 16 and odd >= 0.4 * len(token)


def _random_word(word: str) -> bool:
    if len(word) < 10 or _PLAIN.fullmatch(word):
        return False
    if _NAME.fullmatch(word) and not _CONSONANTS.search(word):
        return False
    if len(word) >= 20:  # no site has such words
        return True
    if word.isalpha():
        return len(word) >= 16 and _is_odd(word)
    return len(word) >= 16 or (_classes(word) == 3 and _changes(word) >= 0.4)


def _is_odd(word: str) -> bool:
    """Return whether a word cannot be spoken, or changes between letters and digits."""
    if len(word) < 4 or (_PLAIN.fullmatch(word) and not _CONSONANTS.search(word)):
        return False
    vowels = len(_VOWEL.findall(word))
    return (
        _CONSONANTS.search(word) is not None
        or _changes(word) >= 0.3
        or (word.isalpha() and len(word) >= 8 and not 0.25 <= vowels / len(word) <= 0.65)
    )


def _class(char: str) -> int:
    return 0 if char.isdigit() else 1 if char.isupper() else 2


def _classes(text: str) -> int:
    return len({_class(char) for char in text})


def _changes(text: str) -> float:
    """Return how often neighbours are of two classes (digit, capital, small letter), 0 to 1."""
    changes = sum(_class(a) != _class(b) for a, b in itertools.pairwise(text))
    return changes / max(1, len(text) - 1)


def _is_code(segment: str) -> bool:
    """Return whether a segment is no word: it has digits, or capitals within a word."""
    return len(segment) >= 5 and (
        any(c.isdigit() for c in segment) or _changes(segment[1:]) >= 0.25
    )
