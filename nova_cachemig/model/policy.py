"""The policy of a service: rules for the use of its pages by the cache, by path.

A policy is a list of rules in order. A rule applies to the paths that its globs match. For each
yes-or-no field, the first rule that applies and has the field decides. Lists add up over all rules
that apply. A service's own rules come first, then those of its presets, then the default.

A rule that could show a user an older or another page than the guest would needs the *consent* of
the service's owner: :class:`Consent`. Without it, such a part of a preset has no effect.
"""

from __future__ import annotations

import dataclasses
import enum
import urllib.parse
from collections.abc import Iterable
from typing import Final

OWN: Final = "service"
"""Origin of the rules that a service's entry has itself."""


class Consent(enum.StrEnum):
    """The permissions that only the owner of a service can give."""

    ANONYMOUS = (
        "anonymous"  # use pages made for strangers for all users without a login, also private ones
    )
    PRIVATE = "private"  # use private pages in the silence, for the same login only
    WRITES = "writes"  # respond to a write before the guest does
    STALE = "stale"  # use pages in the silence that say no-cache, max-age=0 or must-revalidate


@dataclasses.dataclass(frozen=True, slots=True)
class Rule:
    """A rule for some paths. None and an empty list: this rule says nothing about it.

    Paths, cookies, parameters and headers (in lower case) are globs: ``*`` stands for any
    characters. A path with ``?`` is compared with path and query, another
    one with the path.
    """

    paths: tuple[str, ...] = ()  # empty: all
    never: bool | None = None  # neither stored nor fetched in advance
    static: bool | None = None  # the same bytes whatever the cookies
    stale: bool | None = None  # by consent: Consent.STALE
    private: bool | None = None  # by consent: Consent.PRIVATE
    accept_writes: bool | None = None  # by consent: Consent.WRITES
    login_cookies: tuple[str, ...] = ()  # without them, a user is anonymous (by consent)
    script_cookies: tuple[str, ...] = ()  # only scripts in the browser read them
    ignore_query: tuple[str, ...] = ()  # parameters on which no page depends
    neutral_headers: tuple[str, ...] = ()  # request headers on which no page depends
    identifying_headers: tuple[str, ...] = ()  # request headers that tell who asks
    origin: str = OWN

    def applies(self, url: str) -> bool:
        """Whether the rule is about this URL, a path with an optional query."""
        path = url.partition("?")[0]
        return not self.paths or any(
            matches(glob, url if "?" in glob else path) for glob in self.paths
        )

    def needs(self) -> frozenset[Consent]:
        """The consents without which a part of the rule has no effect."""
        parts = {
            Consent.STALE: self.stale,
            Consent.PRIVATE: self.private,
            Consent.WRITES: self.accept_writes,
            Consent.ANONYMOUS: self.login_cookies,
        }
        return frozenset(consent for consent, part in parts.items() if part)

    def allowed(self, consents: Iterable[Consent]) -> Rule:
        """Return the rule without the parts for which consent is missing."""
        missing = self.needs() - set(consents)
        return dataclasses.replace(
            self,
            stale=None if Consent.STALE in missing else self.stale,
            accept_writes=None if Consent.WRITES in missing else self.accept_writes,
            private=None if Consent.PRIVATE in missing else self.private,
            login_cookies=() if Consent.ANONYMOUS in missing else self.login_cookies,
        )


@dataclasses.dataclass(frozen=True, slots=True)
class Policy:
    """``own``: the rules of the service's entry; ``inherited``: those of presets and default."""

    presets: tuple[str, ...] = ()
    consent: tuple[Consent, ...] = ()
    defaults: bool = True  # whether the default rule applies
    own: tuple[Rule, ...] = ()
    inherited: tuple[Rule, ...] = ()

    def rules(self) -> tuple[Rule, ...]:
        """All rules in order, also the parts without consent."""
        return (*self.own, *self.inherited)

    def effective(self) -> tuple[Rule, ...]:
        """All rules in order, with the parts that have an effect."""
        return tuple(rule.allowed(self.consent) for rule in self.rules())

    def never(self, url: str) -> bool:
        """Whether the page is neither stored nor fetched in advance, in any spelling."""
        return self._never(url) or ("%" in url and self._never(urllib.parse.unquote(url)))

    def ignores_cookies(self, url: str) -> bool:
        """Whether a page fetched without cookies can be used for users with some."""
        rules = [rule for rule in self.effective() if rule.applies(url)]
        static = next((rule.static for rule in rules if rule.static is not None), False)
        return static or any(rule.login_cookies for rule in rules)

    def cookies_of_scripts(self, url: str) -> tuple[str, ...]:
        """Return the globs of cookies that only scripts in the browser read."""
        rules = (rule for rule in self.rules() if rule.applies(url))
        return tuple(dict.fromkeys(glob for rule in rules for glob in rule.script_cookies))

    def key_url(self, url: str) -> str:
        """Return the URL by which the cache knows the page: without ignored parameters."""
        path, mark, query = url.partition("?")
        if not mark:
            return url
        globs = [g for rule in self.rules() if rule.applies(url) for g in rule.ignore_query]
        if not globs:
            return url
        parts = query.split("&")
        kept = [part for part in parts if not _ignored(globs, part)]
        if len(kept) == len(parts):
            return url
        return f"{path}?{'&'.join(kept)}" if kept else path

    def fetches(self, url: str) -> bool:
        """Whether the owner says that the page may be fetched in advance, although it may act.

        This is ``never: false`` with paths, in a rule of the service's own.
        """
        said = (rule.never for rule in self.own if rule.paths and rule.applies(url))
        return next((not never for never in said if never is not None), False)

    def static(self, url: str) -> bool:
        """Whether the page is the same whatever the cookies."""
        said = (rule.static for rule in self.rules() if rule.applies(url))
        return next((static for static in said if static is not None), False)

    def accepts(self, url: str) -> bool:
        """Whether a write to the URL gets a response as soon as it is on disk."""
        said = (rule.accept_writes for rule in self.effective() if rule.applies(url))
        return next((accepts for accepts in said if accepts is not None), False)

    def _never(self, url: str) -> bool:
        said = (rule.never for rule in self.rules() if rule.applies(url))
        return next((never for never in said if never is not None), False)


NO_POLICY: Final = Policy()


def _ignored(globs: Iterable[str], parameter: str) -> bool:
    name = parameter.partition("=")[0]
    return any(matches(glob, name) for glob in globs)


def matches(glob: str, text: str) -> bool:
    """Whether ``text`` is as the glob says, in time linear in the text for each ``*``.

    Regular expressions would be slower on hostile texts. ``policy.lua`` does the same.
    """
    first, *middle = glob.split("*")
    if not middle:
        return text == glob
    last = middle.pop()
    if len(text) < len(first) + len(last) or not text.startswith(first):
        return False
    if not text.endswith(last):
        return False
    at, end = len(first), len(text) - len(last)
    for part in middle:
        found = text.find(part, at, end)
        if found < 0:
            return False
        at = found + len(part)
    return True
