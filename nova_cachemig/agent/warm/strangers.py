"""The strangers as whom the warmer asks for a page: plausible people who differ from each other.

The first one is as most users of the service are, because the cache stores the response to it. The
values of the others are chosen so that a page that depends on them shows it:

* one of three browsers is on a telephone;
* one stranger asks for a document, one for data, one for anything;
* one comes from nowhere, one from another site, one from a page of this site;
* the second and third name many languages, in opposite orders. A site that has more than one of
  them gives each stranger another one.

The addresses are from the ranges for documentation (RFC 5737), which no user has.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from typing import Final

from nova_cachemig.agent.warm.proof import Dimension, Stranger
from nova_cachemig.popularity.habits import Habits, Kind

Strangers = tuple[Stranger, Stranger, Stranger]

_BROWSERS: Final = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/142.0.0.0 Safari/537.36",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 "
    "(KHTML, like Gecko) Version/18.6 Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/142.0.0.0 Mobile Safari/537.36",
)
_CHROME: Final = re.compile(r"\bChrome/([0-9]+)")
_FAMILY: Final = re.compile(r"Firefox|Edg|OPR|Chrome|Safari")
_PLATFORMS: Final = ("Windows", "Android", "Macintosh", "Linux")

_ACCEPTED: Final = {
    Kind.DOCUMENT: "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,"
    "image/apng,*/*;q=0.8",
    Kind.IMAGE: "image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8",
    Kind.DATA: "application/json,application/activity+json;q=0.9,application/ld+json;q=0.9,"
    "application/xml;q=0.8,text/plain;q=0.7,text/csv;q=0.6",
    Kind.ANY: "*/*",
}
_OTHER_KINDS: Final = {
    Kind.DOCUMENT: (Kind.DATA, Kind.ANY),
    Kind.IMAGE: (Kind.ANY, Kind.DATA),
    Kind.DATA: (Kind.DOCUMENT, Kind.ANY),
    Kind.ANY: (Kind.DOCUMENT, Kind.DATA),
}

_LANGUAGE: Final = "en-US,en;q=0.9"
# The variants of a language are together, so that another language comes first in one order.
_LANGUAGES: Final = (
    "de", "fr", "es", "ja", "zh-CN", "zh-TW", "pt-BR", "pt-PT", "ru", "it",
    "nl", "pl", "ko", "tr", "ar", "sv", "cs", "uk", "fi", "da",
    "nb", "hu", "el", "ro", "he", "th", "vi", "id", "hi", "fa",
    "bg", "sk", "hr", "ca", "sl", "lt", "lv", "et", "sr", "en",
)  # fmt: skip
_REGIONS: Final = {  # other regions, since a site can differ by them too
    "en": ("en-GB", "en-AU"), "de": ("de-AT", "de-CH"), "fr": ("fr-CA", "fr-CH"),
    "es": ("es-MX", "es-AR"), "pt": ("pt-PT", "pt-BR"), "zh": ("zh-TW", "zh-HK"),
    "nl": ("nl-BE", "nl-SR"),
}  # fmt: skip


def strangers(
    habits: Habits, kind: Kind, site: str, cookies: Sequence[str], rng: random.Random
) -> Strangers:
    """Return three strangers.

    ``kind``: of the page; ``site``: the URL of its host. ``cookies``: globs of those that only
    scripts read.
    """
    agents = _agents(habits.agent)
    accepts = _accepts(habits.accept(kind), kind)
    languages = _languages(habits.language)
    values: list[dict[Dimension, str]] = []
    for number, network in enumerate(("192.0.2", "198.51.100", "203.0.113")):
        values.append(
            {
                Dimension.ADDRESS: f"{network}.{rng.randrange(1, 255)}",
                Dimension.BROWSER: agents[number],
                Dimension.ACCEPT: accepts[number],
                Dimension.LANGUAGE: languages[number],
            }
        )
    values[1][Dimension.REFERER] = "https://www.example.org/"
    values[2][Dimension.REFERER] = site
    names = [glob.replace("*", "") for glob in cookies]
    if names:
        values[1][Dimension.COOKIES] = "; ".join(f"{name}=1" for name in names)
        values[2][Dimension.COOKIES] = "; ".join(
            f"{name}=GA1.1.{rng.randrange(10**8, 10**9)}.{rng.randrange(17 * 10**8, 18 * 10**8)}"
            for name in names
        )
    return values[0], values[1], values[2]


def headers(stranger: Stranger) -> Mapping[str, str]:
    """Return the headers of a stranger's request."""
    said = {dimension.value: value for dimension, value in stranger.items()}
    agent = stranger.get(Dimension.BROWSER, "")
    chrome = _CHROME.search(agent)
    if chrome is not None:
        platform = next((name for name in _PLATFORMS if name in agent), "Linux")
        said["Sec-CH-UA"] = f'"Chromium";v="{chrome[1]}", "Not_A Brand";v="99"'
        said["Sec-CH-UA-Mobile"] = "?1" if "Mobile" in agent else "?0"
        said["Sec-CH-UA-Platform"] = '"macOS"' if platform == "Macintosh" else f'"{platform}"'
    return said


def _agents(first: str) -> tuple[str, str, str]:
    first = first or _BROWSERS[0]
    others = [agent for agent in _BROWSERS if agent != first]
    second = next(agent for agent in others if _mobile(agent) != _mobile(first))
    third = next(a for a in others if _family(a) not in {_family(first), _family(second)})
    return first, second, third


def _mobile(agent: str) -> bool:
    return "Mobile" in agent


def _family(agent: str) -> str:
    found = _FAMILY.search(agent)
    return found[0] if found else ""


def _accepts(first: str, kind: Kind) -> tuple[str, str, str]:
    second, third = (_ACCEPTED[other] for other in _OTHER_KINDS[kind])
    return first or _ACCEPTED[kind], second, third


def _languages(first: str) -> tuple[str, str, str]:
    first = first or _LANGUAGE
    primary = re.split("[-,;]", first, maxsplit=1)[0].strip().lower()
    # A second choice of the first stranger can be what he gets, so the others name it, too.
    others = [tag for tag in _LANGUAGES if tag.partition("-")[0] != primary]
    regions = _REGIONS.get(primary, ("", ""))
    both = []
    for order, region in zip((others, others[::-1]), regions, strict=True):
        tags = [*order, region] if region and region not in first else order
        both.append(",".join(_weighted(tags)))
    return first, both[0], both[1]


def _weighted(tags: Sequence[str]) -> Sequence[str]:
    return [tag if not i else f"{tag};q={1 - i / 100:.2f}" for i, tag in enumerate(tags)]
