"""Proposes rules for a service from a sample of its requests, each with its gain. Pure.

The gain of a rule is the number of reads of the sample that the cache may use for more than one
user with the rule, and not without it. So it is an upper bound: whether a page is stored depends on
the response, too. A proposal contains the present policy, and is never applied on its own.
"""

from __future__ import annotations

import collections
import dataclasses
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from nova_cachemig.model.policy import Consent, Policy, Rule, matches
from nova_cachemig.model.urltext import word_set
from nova_cachemig.popularity import acting
from nova_cachemig.popularity.sampling import Seen

_LEAST_SHARE: Final = 0.02  # of the reads, below which a sign of an application is a coincidence
_MAX_PATHS: Final = 16
_MAX_NAMES: Final = 16
_CODE: Final = word_set("css js mjs map woff woff2 ttf otf eot wasm")
_LOGIN: Final = re.compile(
    r"sess|(?<![a-z])sid(?![a-z])|auth|token|login|logged|user|remember|jwt|ident", re.IGNORECASE
)
_SEGMENT: Final = re.compile(r"[A-Za-z0-9_.~-]{1,60}")
_COOKIE_NAME: Final = re.compile(r"[!#$%&'+.^_`|~0-9A-Za-z-]{1,100}")

_APPLICATIONS: Final[Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]]] = {
    "wordpress": (("*/wp-content/*", "*/wp-includes/*", "/wp-json/*"), ("wordpress_*",)),
    "mediawiki": (("*/load.php",), ("*UserID", "*wiki*_session")),
    "dokuwiki": (("*/doku.php*", "*/lib/exe/*"), ("DokuWiki", "DW*")),
    "drupal": (("*/sites/default/files/*", "/core/misc/*", "/core/themes/*"), ("SESS*", "SSESS*")),
    "laravel": ((), ("laravel_session", "XSRF-TOKEN")),
    "rails": ((), ("_*_session",)),
    "django": (("/static/admin/*",), ("csrftoken", "sessionid")),
    "php": (("*.php",), ("PHPSESSID",)),
}
"""Signs of the applications for which there is a preset: paths, and names of cookies."""

_SCRIPTS: Final = (
    "_ym_*", "_ttp", "_tt_enable_cookie", "_scid", "_rdt_uuid", "_pin_unauth", "__adroll*", "_lfa",
)  # fmt: skip
"""Cookies of services for statistics and advertisements that the default rules leave out."""

_CAMPAIGNS: Final = (
    "mc_cid", "mc_eid", "yclid", "igshid", "srsltid", "ttclid", "twclid", "li_fat_id", "mtm_*",
    "pk_campaign", "pk_kwd", "_hsenc", "_hsmi", "msclkid", "fbclid", "gclid", "utm_*",
)  # fmt: skip
"""Parameters that campaigns add to links."""


@dataclasses.dataclass(frozen=True, slots=True)
class Step:
    """One addition: a preset or a rule. ``gain``: reads. ``consent``: without it, no effect."""

    why: str
    gain: int
    preset: str = ""
    rule: Rule | None = None
    consent: Consent | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Proposal:
    """``shared``: reads that can be shared with the present policy."""

    requests: int
    reads: int
    shared: int
    steps: tuple[Step, ...]
    unknown_cookies: tuple[tuple[str, int], ...]  # that no rule names: name, reads


class _Learner:
    def __init__(self, reads: Sequence[Seen], policy: Policy) -> None:
        self.reads, self.policy = reads, policy
        self.steps: list[Step] = []
        self.shared = self._shared(policy)

    def _shared(self, policy: Policy) -> int:
        return sum(_is_shared(policy, one) for one in self.reads)

    def add(self, step: Step, policy: Policy, *, least: int = 1) -> None:
        """Take the step if it gains enough."""
        shared = self._shared(policy)
        if shared - self.shared >= least:
            self.steps.append(dataclasses.replace(step, gain=shared - self.shared))
            self.policy, self.shared = policy, shared

    def add_rule(self, why: str, rule: Rule, consent: Consent | None = None) -> None:
        """Take a rule if it gains something."""
        consents = (*self.policy.consent, *([consent] if consent else []))
        policy = dataclasses.replace(
            self.policy, own=(*self.policy.own, rule), consent=tuple(dict.fromkeys(consents))
        )
        self.add(Step(why, 0, rule=rule, consent=consent), policy)


def propose(
    sample: Sequence[Seen], policy: Policy, presets: Mapping[str, Sequence[Rule]]
) -> Proposal:
    """Return the additions to a policy, in the order in which each one's gain is counted."""
    reads = [one for one in sample if one.method in {"GET", "HEAD"} and 200 <= one.status < 400]
    learner = _Learner(reads, policy)
    before = learner.shared
    _protect(learner)
    _find_application(learner, presets)
    _find_files(learner)
    _find_scripts(learner)
    _find_campaigns(learner)
    names = _names(learner)
    _find_logins(learner, presets)
    _find_private(learner)
    unknown = _unknown(learner, names)
    return Proposal(len(sample), len(reads), before, tuple(learner.steps), unknown)


def _is_shared(policy: Policy, one: Seen) -> bool:
    if policy.never(one.url):
        return False
    scripts = policy.cookies_of_scripts(one.url)
    kept = [name for name in one.cookies if not _any(scripts, name)]
    if not kept or policy.static(one.url):
        return True
    logins = [
        glob for rule in policy.effective() if rule.applies(one.url) for glob in rule.login_cookies
    ]
    return bool(logins) and not any(_any(logins, name) for name in kept)


def _any(globs: Iterable[str], text: str) -> bool:
    return any(matches(glob, text) for glob in globs)


def _protect(learner: _Learner) -> None:
    """Requests that may act should never be answered from the cache. They gain nothing."""
    found = collections.Counter(
        path
        for one in learner.reads
        if acting.acts(one.url) and not learner.policy.never(one.url)
        if _is_plain(path := one.url.partition("?")[0])
    )
    if not found:
        return
    paths = tuple(sorted(path for path, _ in found.most_common(_MAX_PATHS)))
    rule = Rule(paths=paths, never=True)
    why = f"{sum(found.values())} reads at paths that may act on a GET request"
    learner.steps.append(Step(why, 0, rule=rule))
    learner.policy = dataclasses.replace(learner.policy, own=(*learner.policy.own, rule))
    learner.shared = learner._shared(learner.policy)


def _is_plain(path: str) -> bool:
    return all(_SEGMENT.fullmatch(segment) for segment in path.split("/") if segment)


def _find_application(learner: _Learner, presets: Mapping[str, Sequence[Rule]]) -> None:
    least = max(2.0, _LEAST_SHARE * len(learner.reads))
    for name, (paths, cookies) in _APPLICATIONS.items():
        if name in learner.policy.presets:
            return
        signs = sum(
            _any(paths, one.url) or any(_any(cookies, cookie) for cookie in one.cookies)
            for one in learner.reads
        )
        if signs >= least:
            policy = dataclasses.replace(
                learner.policy,
                presets=(*learner.policy.presets, name),
                inherited=(*presets[name], *learner.policy.inherited),
            )
            gain = learner._shared(policy) - learner.shared
            why = f"{signs} reads have signs of this application"
            learner.steps.append(Step(why, gain, preset=name))
            learner.policy, learner.shared = policy, learner.shared + gain
            return


def _find_files(learner: _Learner) -> None:
    """Style sheets, scripts and fonts; images can be uploads that a login protects."""
    found: collections.Counter[str] = collections.Counter()
    for one in learner.reads:
        path = one.url.partition("?")[0]
        folder, _, name = path[1:].partition("/")
        ending = path.rpartition(".")[2].lower()
        if not name or ending not in _CODE or not _SEGMENT.fullmatch(folder):
            continue
        if not _is_shared(learner.policy, one) and not learner.policy.never(one.url):
            found[f"/{folder}/*.{ending}"] += 1
    paths = tuple(sorted(glob for glob, _ in found.most_common(_MAX_PATHS)))
    if paths:
        why = "style sheets, scripts and fonts, requested with cookies"
        learner.add_rule(why, Rule(paths=paths, static=True))


def _names(learner: _Learner) -> collections.Counter[str]:
    """Cookies that keep reads from being shared: not of scripts, at pages that are not static."""
    found: collections.Counter[str] = collections.Counter()
    for one in learner.reads:
        if not _is_shared(learner.policy, one):
            scripts = learner.policy.cookies_of_scripts(one.url)
            found.update({name for name in one.cookies if not _any(scripts, name)})
    return found


def _find_scripts(learner: _Learner) -> None:
    names = _names(learner)
    globs = tuple(glob for glob in _SCRIPTS if any(matches(glob, name) for name in names))
    if globs:
        why = "cookies of services for statistics and advertisements"
        learner.add_rule(why, Rule(script_cookies=globs))


def _find_campaigns(learner: _Learner) -> None:
    """The gain is the number of reads whose page then has one URL with that of another read."""
    seen: collections.Counter[str] = collections.Counter()
    for one in learner.reads:
        parts = one.url.partition("?")[2].split("&")
        seen.update({g for g in _CAMPAIGNS for p in parts if matches(g, p.partition("=")[0])})
    ignored = {glob for rule in learner.policy.rules() for glob in rule.ignore_query}
    globs = tuple(glob for glob in _CAMPAIGNS if glob in seen and glob not in ignored)
    if not globs:
        return
    rule = Rule(ignore_query=globs)
    policy = dataclasses.replace(learner.policy, own=(*learner.policy.own, rule))
    gain = _repeated(learner.reads, policy.key_url) - _repeated(
        learner.reads, learner.policy.key_url
    )
    if gain > 0:
        learner.steps.append(Step("parameters that campaigns add to links", gain, rule=rule))
        learner.policy = policy


def _repeated(reads: Sequence[Seen], key: Callable[[str], str]) -> int:
    return len(reads) - len({key(one.url) for one in reads})


def _find_logins(learner: _Learner, presets: Mapping[str, Sequence[Rule]]) -> None:
    known = {glob for rules in presets.values() for rule in rules for glob in rule.login_cookies}
    present = {glob for rule in learner.policy.rules() for glob in rule.login_cookies}
    names = tuple(
        name
        for name, _ in _names(learner).most_common()
        if _COOKIE_NAME.fullmatch(name) and (_LOGIN.search(name) or _any(known, name))
        if not _any(present, name)
    )[:_MAX_NAMES]
    why = "users without a login get the page for strangers"
    if names:
        learner.add_rule(why, Rule(login_cookies=names), Consent.ANONYMOUS)
    elif present and Consent.ANONYMOUS not in learner.policy.consent:
        consent = (*learner.policy.consent, Consent.ANONYMOUS)
        policy = dataclasses.replace(learner.policy, consent=consent)
        learner.add(Step(why, 0, consent=Consent.ANONYMOUS), policy)


def _find_private(learner: _Learner) -> None:
    """The gain is the number of reads with a login, of which none is for another user."""
    policy = learner.policy
    if Consent.PRIVATE in policy.consent:
        return
    logins = [glob for rule in policy.rules() for glob in rule.login_cookies]
    own = [
        one
        for one in learner.reads
        if not _is_shared(policy, one) and not policy.never(one.url)
        if any(_any(logins, name) for name in one.cookies)
    ]
    if own:
        rule = None if any(rule.private for rule in policy.rules()) else Rule(private=True)
        why = "a login gets again what the guest has sent to it"
        learner.steps.append(Step(why, len(own), rule=rule, consent=Consent.PRIVATE))


def _unknown(learner: _Learner, names: collections.Counter[str]) -> tuple[tuple[str, int], ...]:
    logins = [glob for rule in learner.policy.rules() for glob in rule.login_cookies]
    least = max(2.0, _LEAST_SHARE * len(learner.reads))
    return tuple(
        (name, number)
        for name, number in names.most_common(_MAX_NAMES)
        if number >= least and not _any(logins, name) and _COOKIE_NAME.fullmatch(name)
    )
