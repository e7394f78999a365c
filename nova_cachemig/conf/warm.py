"""Options of the warmer and of the hot set from which it works."""

from __future__ import annotations

import re
from typing import Any

from oslo_config import cfg, types

GROUP = cfg.OptGroup("warm", title="Filling the cache before a guest is paused")

_NEVER_FOLLOWED = (
    # Actions, anywhere in the path.
    r"(?i:log[-_]?(?:out|off)|sign[-_]?(?:out|off)|unsubscribe|delete|remove|destroy|purge|erase"
    r"|revoke|cgi-bin|wp-admin)"
    # Verbs, which also occur in titles of articles: only if a segment of the path begins with one
    # (/add-to-cart), contains it with a capital (/cartAdd) or ends with it (/cart_add.php).
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
        help="Maximum number of known pages per service. A new page then replaces one with fewer "
        "requests. Each page takes about 1 KiB of memory.",
    ),
    cfg.IntOpt(
        "max_pages_total",
        default=200_000,
        min=1,
        help="Maximum number of known pages of all services. Beyond it, the service with the most "
        "pages loses some.",
    ),
    cfg.IntOpt(
        "max_services",
        default=1_000,
        min=1,
        help="Maximum number of services with known pages. Beyond it, the agent forgets the "
        "service whose last request is the oldest.",
    ),
    cfg.IntOpt(
        "max_clients",
        default=2_000,
        min=1,
        help="Maximum number of client sessions per service that the agent follows. The most "
        "recent ones count.",
    ),
    cfg.ListOpt(
        "half_lives",
        item_type=types.Integer(min=1),
        bounds=False,
        default=[600, 3_600, 21_600],
        help="Half-lives, in seconds, of the counts of requests for a page. With several, and a "
        "count that never fades, each service learns the best mixture.",
    ),
    cfg.IntOpt(
        "horizon",
        default=300,
        min=1,
        help="Seconds ahead for which the need for pages is estimated: about the time from the "
        "start of warming to the end of the blackout.",
    ),
    cfg.IntOpt(
        "refused_for",
        default=3_600,
        min=1,
        help="Seconds for which the agent does not fetch a page again that was not cacheable.",
    ),
]

_FETCHING = [
    cfg.IntOpt(
        "max_rate",
        default=400,
        min=1,
        help="Maximum number of requests per second to one guest. The actual rate starts low, "
        "rises while the guest's response times stay the same, and halves when they grow.",
    ),
    cfg.IntOpt(
        "min_rate",
        default=4,
        min=1,
        help="Minimum number of requests per second, even if the guest is slow.",
    ),
    cfg.IntOpt(
        "max_concurrency",
        default=16,
        min=1,
        max=256,
        help="Maximum number of concurrent requests to one guest.",
    ),
    cfg.IntOpt(
        "total_concurrency",
        default=64,
        min=1,
        max=4096,
        help="Maximum number of concurrent requests to all guests.",
    ),
    cfg.FloatOpt(
        "slow_factor",
        default=2.0,
        min=1.1,
        help="The guest is too busy when response times, for users or for the warmer, exceed "
        "their earlier value by this factor plus 5 ms.",
    ),
    cfg.FloatOpt(
        "fetch_timeout",
        default=10.0,
        min=0.1,
        help="Seconds after which the warmer gives up a request.",
    ),
    cfg.IntOpt(
        "max_object",
        default=32 * 1024 * 1024,
        min=1024,
        help="Maximum size of a fetched body in bytes. The warmer stops reading a longer one and "
        "skips the page.",
    ),
    cfg.IntOpt(
        "keep_rate",
        default=20,
        min=1,
        help="Maximum number of requests per second during the memory copy, for pages that have "
        "become popular or are about to become unusable. Pages that a write has changed are "
        "fetched immediately and do not count.",
    ),
    cfg.FloatOpt(
        "keep_interval",
        default=2.0,
        min=0.1,
        help="Seconds between checks for such pages.",
    ),
    cfg.FloatOpt(
        "refresh_before",
        default=10.0,
        min=0.0,
        help="Seconds before a stored page becomes unusable when the warmer fetches it again.",
    ),
]

_DISCOVERY = [
    cfg.BoolOpt(
        "discover",
        default=True,
        help="Whether to fetch content that HTML and CSS pages embed from the same host (images, "
        "scripts, style sheets, fonts), even if no user has requested it yet. It follows the "
        "known pages.",
    ),
    cfg.BoolOpt(
        "discover_queries",
        default=False,
        help="Whether discovery includes addresses with a query string, both embedded and linked.",
    ),
    cfg.IntOpt(
        "discover_limit",
        default=500,
        min=0,
        help="Maximum number of embedded pages that are discovered and fetched per warming.",
    ),
    cfg.IntOpt(
        "discover_bytes",
        default=256 * 1024,
        min=1024,
        help="Number of bytes of an HTML or CSS body that discovery searches.",
    ),
]

_LINKS = [
    cfg.BoolOpt(
        "discover_links",
        default=True,
        help="Whether to fetch pages of the same host and port to which known pages link and that "
        "no user has requested yet. They follow the known pages and embedded content; links "
        "of the most needed pages come first. The warmer sends GET requests without cookies, "
        "credentials or (unless discover_queries is set) query strings, and does not follow "
        "links of links. Some applications change something on a GET, against RFC 9110, "
        "section 9.2.1. Set this to false if you cannot rule them out. follow_links in a "
        "service's entry overrides this option. A page can forbid it with rel=nofollow, "
        "<meta name=robots content=nofollow> or X-Robots-Tag: nofollow.",
    ),
    cfg.IntOpt(
        "discover_links_limit",
        default=1_000,
        min=0,
        help="Maximum number of linked pages that are fetched per handover.",
    ),
    cfg.IntOpt(
        "discover_links_size",
        default=32 * 1024 * 1024,
        min=0,
        help="Total size in bytes of linked pages per handover, so that they do not replace known "
        "pages in the cache. The warmer stops following links at this size. Related: "
        "[engine] cache_size.",
    ),
    cfg.Opt(
        "discover_links_never",
        type=_Expression(),
        default=_NEVER_FOLLOWED,
        help="Python regular expression for links that the warmer does not follow. It applies to "
        "the percent-decoded path and query. The default matches actions (logout, delete, "
        "unsubscribe, ...), archives and videos. (?!) excludes nothing.",
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
        help="How the agent fills the cache before and during the memory copy. With none, a "
        "migration never waits for the cache, no other option of this group has an effect, "
        "and guests get only the requests of their users. Related: [agent] warm_time.",
    ),
]

OPTS = _DRIVER + _HOT_SET + _FETCHING + _DISCOVERY + _LINKS


def register(conf: cfg.ConfigOpts) -> None:
    """Register the options with ``conf``."""
    conf.register_group(cfg.OptGroup(GROUP.name, title=GROUP.title))  # its own: see journal.py
    conf.register_opts(OPTS, group=GROUP.name)


def list_opts() -> list[tuple[Any, list[Any]]]:
    """Return the options for the sample generator."""
    return [(GROUP, OPTS)]
