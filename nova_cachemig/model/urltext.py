"""Splits a URL (path and query, as sent) into the texts and words that have a meaning to a site."""

from __future__ import annotations

import re
import unicodedata
import urllib.parse
from typing import Final, NamedTuple

_MAX_DECODED: Final = 3  # levels of percent-encoding
_CAMEL: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_NO_WORD: Final = re.compile(r"[\W_]+")


class SplitURL(NamedTuple):
    """Decoded texts. A parameter of a path (``;name=value``) counts as one of the query."""

    segments: list[str]
    parameters: list[tuple[str, str]]  # the name of a parameter without "=" has the value ""


def word_set(text: str) -> frozenset[str]:
    """Return the words of a text, without duplicates."""
    return frozenset(text.split())


def split(url: str) -> SplitURL:
    """Return the parts of a path with or without a query."""
    path, _, query = url.partition("?")
    segments: list[str] = []
    fields = re.split("[&;]", query)
    for segment in path.split("/"):
        name, *parameters = segment.split(";")
        segments.append(decoded(name))
        fields += parameters
    return SplitURL([s for s in segments if s], [_parameter(field) for field in fields if field])


def _parameter(field: str) -> tuple[str, str]:
    name, _, value = field.partition("=")
    return decoded(name.replace("+", " ")), decoded(value.replace("+", " "))


def decoded(text: str) -> str:
    """Return the text without percent-encoding, of which some sites use several levels."""
    for _ in range(_MAX_DECODED):
        if "%" not in text:
            break
        text = urllib.parse.unquote(text, errors="replace")
    return text


def words(text: str) -> list[str]:
    """Return the words in lower case and without accents; ``cartAdd`` and ``cart_add`` are two."""
    if not text.isascii():
        text = unicodedata.normalize("NFKD", text).replace("ß", "ss").replace("ł", "l")
        text = "".join(c for c in text if not unicodedata.combining(c)).replace("\u0131", "i")
    return [word.lower() for word in _NO_WORD.split(_CAMEL.sub(" ", text)) if word]
