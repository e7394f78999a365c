"""Options of the warmer and of the hot set from which it works."""

from __future__ import annotations

import re
from typing import Any

from oslo_config import cfg, types

GROUP = cfg.OptGroup("warm", title="Filling the cache before a guest is paused")

_NEVER_FOLLOWED = (
    # Actions, wherever they stand.
    r"(?i:log[-_]?(?:out|off)|sign[-_]?(?:out|off)|unsubscribe|delete|remove|destroy|purge|erase"
    r"|revoke|cgi-bin|wp-admin)"
    # Verbs, which stand in articles' titles as well: where a segment of the path begins with one
    # (/add-to-cart), has it with a capital (/cartAdd) or ends with it (/cart_add.php).
    r"|(?:(?<=[/?&=])|(?<=[a-z])(?=[A-Z])|(?<=[-_])(?=[A-Za-z]+(?:[/.;]|\Z)))"
    r"(?i:log[-_]?in|sign[-_]?(?:in|up)|register|subscribe|add|buy|cart|basket|checkout|order|pay"
    r"|edit|update|save|create|submit|vote|like|follow|accept|reject|approve|activate|confirm"
    r"|cancel|reset|clear|toggle|enable|disable|start|stop|restart|reboot|shutdown|run|exec"
    r"|execute|trigger|send|invite|join|leave|upload|import|export|download|install|upgrade|admin"
    r"|api)(?![a-z])"
    # Files too large to be fetched on a guess.
    r"|(?i:\.(?:zip|gz|tgz|bz2|xz|zst|7z|rar|tar|iso|img|exe|msi|dmg|deb|rpm|apk|mp4|webm|mkv|avi"
    r"|mov|mp3|wav|flac)\Z)"
)


class _Expression(types.String):
    """A regular expression; anything else is refused when the configuration is read."""

    def __call__(self, value: Any) -> str:
        text = str(super().__call__(value))
        try:
            re.compile(text)
        except re.error as exc:
            raise ValueError(f"not a regular expression: {exc}: {text!r}") from exc
        return text


_HOT_SET = [
    cfg.IntOpt(
        "max_pages",
        default=20_000,
        min=1,
        help="Pages kept for one service. Beyond that a new page takes the place of one that is "
        "asked for less often. About 1 KiB of memory each.",
    ),
    cfg.IntOpt(
        "max_pages_total",
        default=200_000,
        min=1,
        help="Pages kept for all services. Beyond that the service with most pages gives way.",
    ),
    cfg.IntOpt(
        "max_services",
        default=1_000,
        min=1,
        help="Services whose pages are kept. Beyond that the one not asked for longest is "
        "forgotten.",
    ),
    cfg.IntOpt(
        "max_clients",
        default=2_000,
        min=1,
        help="Client sessions of one service that are followed at a time, the most recent ones.",
    ),
    cfg.ListOpt(
        "half_lives",
        item_type=types.Integer(min=1),
        bounds=False,
        default=[600, 3_600, 21_600],
        help="Seconds in which the weight of a request for a page halves. With several, and a "
        "count that never fades beside them, each service learns which of them tells most.",
    ),
    cfg.IntOpt(
        "horizon",
        default=300,
        min=1,
        help="Seconds ahead for which the need of pages is estimated: about the time from the "
        "start of warming to the end of the blackout.",
    ),
    cfg.IntOpt(
        "refused_for",
        default=3_600,
        min=1,
        help="Seconds for which a page that turned out not to be cacheable is left alone.",
    ),
]

_FETCHING = [
    cfg.IntOpt(
        "max_rate",
        default=400,
        min=1,
        help="Requests a second to one guest at most. The real rate starts low, grows while the "
        "guest answers as quickly as before, and halves when it does not.",
    ),
    cfg.IntOpt(
        "min_rate",
        default=4,
        min=1,
        help="Requests a second that are always sent, however slow the guest.",
    ),
    cfg.IntOpt(
        "max_concurrency",
        default=16,
        min=1,
        max=256,
        help="Requests to one guest at a time at most.",
    ),
    cfg.IntOpt(
        "total_concurrency",
        default=64,
        min=1,
        max=4096,
        help="Requests to all guests at a time at most.",
    ),
    cfg.FloatOpt(
        "slow_factor",
        default=2.0,
        min=1.1,
        help="The guest is too busy when its answers, to users or to the warmer, take longer than "
        "so many times what they took before (and 5 ms more).",
    ),
    cfg.FloatOpt(
        "fetch_timeout",
        default=10.0,
        min=0.1,
        help="Seconds after which one request is given up.",
    ),
    cfg.IntOpt(
        "max_object",
        default=32 * 1024 * 1024,
        min=1024,
        help="Bytes of a body after which the warmer stops reading it and leaves the page out.",
    ),
    cfg.IntOpt(
        "keep_rate",
        default=20,
        min=1,
        help="Requests a second at most while memory is copied, for pages that are newly popular "
        "or about to become unusable. Pages that a write has changed are fetched at once, on top.",
    ),
    cfg.FloatOpt(
        "keep_interval",
        default=2.0,
        min=0.1,
        help="Seconds between looks for such pages.",
    ),
    cfg.FloatOpt(
        "refresh_before",
        default=10.0,
        min=0.0,
        help="Seconds before a stored page becomes unusable at which it is fetched again.",
    ),
]

_DISCOVERY = [
    cfg.BoolOpt(
        "discover",
        default=True,
        help="Fetch, after the known pages, what fetched HTML and CSS embeds from the same host "
        "(images, scripts, style sheets, fonts) although nobody has asked for it yet.",
    ),
    cfg.BoolOpt(
        "discover_queries",
        default=False,
        help="Discover addresses with a query string, too; by links (discover_links) as well.",
    ),
    cfg.IntOpt(
        "discover_limit",
        default=500,
        min=0,
        help="Embedded pages discovered and fetched in one warming at most.",
    ),
    cfg.IntOpt(
        "discover_bytes",
        default=256 * 1024,
        min=1024,
        help="Bytes of an HTML or CSS body that are searched.",
    ),
]

_LINKS = [
    cfg.BoolOpt(
        "discover_links",
        default=True,
        help="Fetch, after the known pages and what they embed, the pages of the same host and "
        "port to which known pages link and for which nobody has asked yet, those first to which "
        "the most needed pages link. Only by GET, without cookies, credentials or (unless "
        "discover_queries) query strings; links of links are not followed. A GET that no user "
        "made may do something in an application that does not keep to HTTP (RFC 9110, 9.2.1): "
        "set this to false if you cannot vouch for your tenants' applications; follow_links in a "
        "service's own entry goes before this. A page keeps its "
        "links from being followed by rel=nofollow, by <meta name=robots content=nofollow> or by "
        "X-Robots-Tag: nofollow.",
    ),
    cfg.IntOpt(
        "discover_links_limit",
        default=1_000,
        min=0,
        help="Pages found by links that are fetched in one handover at most.",
    ),
    cfg.IntOpt(
        "discover_links_size",
        default=32 * 1024 * 1024,
        min=0,
        help="Bytes of pages found by links after which no more are fetched in one handover, so "
        "that they do not push known pages out of the cache: see [engine] cache_size.",
    ),
    cfg.Opt(
        "discover_links_never",
        type=_Expression(),
        default=_NEVER_FOLLOWED,
        help="Links are not followed in whose path (and query), percent-decoded, this Python "
        "regular expression is found. The default names actions (logout, delete, unsubscribe, "
        "...) and archives and films; write (?!) to exclude nothing.",
    ),
]

_DRIVER = [
    cfg.StrOpt(
        "driver",
        default="cache",
        choices=[
            ("cache", "fetch the pages that users are about to need through the cache"),
            ("none", "fetch nothing; the cache holds what users ask for during the handover"),
        ],
        help="How the cache is filled before and while memory is copied. With none, a migration "
        "never waits for the cache, no other option of this group has an effect, and guests get "
        "only the requests that users make. Related: [agent] warm_time.",
    ),
]

OPTS = _DRIVER + _HOT_SET + _FETCHING + _DISCOVERY + _LINKS


def register(conf: cfg.ConfigOpts) -> None:
    """Make the options known to ``conf``."""
    conf.register_group(cfg.OptGroup(GROUP.name, title=GROUP.title))  # its own: see journal.py
    conf.register_opts(OPTS, group=GROUP.name)


def list_opts() -> list[tuple[Any, list[Any]]]:
    """Return the options for the sample generator."""
    return [(GROUP, OPTS)]
