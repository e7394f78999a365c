"""Options of the warmer, and of the popular pages that it remembers."""

from __future__ import annotations

import re
from typing import Any

from oslo_config import cfg, types

from nova_cachemig.conf.sizes import Size

GROUP = cfg.OptGroup("warm", title="Filling the cache before a guest is paused")

_NEVER_FOLLOWED = (
    # Actions, anywhere in the path.
    r"(?i:log[-_]?(?:out|off)|sign[-_]?(?:out|off)|unsubscribe|delete|remove|destroy|purge|erase"
    r"|revoke|cgi-bin|wp-admin)"
    # Verbs. Titles of articles have them too, so only where a segment of the path begins with one
    # (/add-to-cart), has it with a capital (/cartAdd) or ends with it (/cart_add.php).
    r"|(?:(?<=[/?&=])|(?<=[a-z])(?=[A-Z])|(?<=[-_])(?=[A-Za-z]+(?:[/.;]|\Z)))"
    r"(?i:log[-_]?in|sign[-_]?(?:in|up)|register|subscribe|add|buy|cart|basket|checkout|order|pay"
    r"|edit|update|save|create|submit|vote|like|follow|accept|reject|approve|activate|confirm"
    r"|cancel|reset|clear|toggle|enable|disable|start|stop|restart|reboot|shutdown|run|exec"
    r"|execute|trigger|send|invite|join|leave|upload|import|export|download|install|upgrade|admin"
    r"|api)(?![a-z])"
    # Files that are too large to fetch without a request.
    r"|(?i:\.(?:zip|gz|tgz|bz2|xz|zst|7z|rar|tar|iso|img|exe|msi|dmg|deb|rpm|apk|mp4|webm|mkv|avi"
    r"|mov|mp3|wav|flac)\Z)"
)


class _Expression(types.String):
    """A regular expression; an invalid one is refused when the configuration is read."""

    def __call__(self, value: Any) -> str:
        text = str(super().__call__(value))
        try:
            re.compile(text)
        except re.error as exc:
            raise ValueError(f"not a regular expression: {exc}: {text!r}") from exc
        return text


_DRIVER = [
    cfg.StrOpt(
        "driver",
        default="cache",
        choices=[
            ("cache", "fetch the pages that users are about to need through the cache"),
            ("none", "fetch nothing; the cache holds what users ask for during the handover"),
        ],
        help="How the agent fills the cache before and while Nova copies the memory. With none, a "
        "migration never waits for the cache, no other option of this group has an effect, and "
        "guests get only the requests that users make. Related: [agent] warm_time.",
    ),
]

_HOT_SET = [
    cfg.IntOpt(
        "max_pages",
        default=20_000,
        min=1,
        help="Limit of the pages that the agent remembers for one service, about 1 KiB of memory "
        "each. Beyond it, a new page replaces one that is requested less often.",
    ),
    cfg.IntOpt(
        "max_pages_total",
        default=200_000,
        min=1,
        help="Limit of the pages that the agent remembers for all services. Beyond it, the service "
        "with the most pages loses some.",
    ),
    cfg.IntOpt(
        "max_services",
        default=1_000,
        min=1,
        help="Limit of the services whose pages the agent remembers. Beyond it, the agent forgets "
        "the service whose last request is the oldest.",
    ),
    cfg.IntOpt(
        "max_clients",
        default=2_000,
        min=1,
        help="Limit of the client sessions of one service that the agent follows at the same time. "
        "It follows the most recent ones.",
    ),
    cfg.ListOpt(
        "half_lives",
        item_type=types.Integer(min=1),
        bounds=False,
        default=[600, 3_600, 21_600],
        help="Times in seconds after which the weight of a request for a page is halved. The agent "
        "counts with each of them, and also without decay. It learns for each service which of "
        "these counts predicts best.",
    ),
    cfg.IntOpt(
        "horizon",
        default=300,
        min=1,
        help="Seconds ahead for which the agent estimates which pages users need: about the time "
        "from the start of warming to the end of the blackout.",
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
        help="Limit of requests per second to one guest. The actual rate starts low, increases "
        "while the guest is as fast as before, and is halved when it is slower. Related: "
        "min_rate, slow_factor.",
    ),
    cfg.IntOpt(
        "total_rate",
        default=400,
        min=1,
        help="Limit of requests per second to all guests together. Guests that are warmed at the "
        "same time share it equally, and the most needed pages of each come first. The agent's "
        "process needs a core for about 400. Related: max_rate, total_concurrency.",
    ),
    cfg.IntOpt(
        "min_rate",
        default=4,
        min=1,
        help="Requests per second that are sent even to the slowest guest, within its share of "
        "total_rate. Related: max_rate.",
    ),
    cfg.IntOpt(
        "max_concurrency",
        default=16,
        min=1,
        max=256,
        help="Limit of simultaneous requests to one guest.",
    ),
    cfg.IntOpt(
        "total_concurrency",
        default=64,
        min=1,
        max=4096,
        help="Limit of simultaneous requests to all guests together. Guests that are warmed at the "
        "same time share it equally.",
    ),
    cfg.FloatOpt(
        "slow_factor",
        default=2.0,
        min=1.1,
        help="A guest counts as overloaded when its response time, to users or to the agent, is "
        "more than this many times its earlier response time, plus 5 ms.",
    ),
    cfg.FloatOpt(
        "fetch_timeout",
        default=10.0,
        min=0.1,
        help="Seconds after which the agent gives up one request.",
    ),
    cfg.Opt(
        "max_object_size",
        deprecated_name="max_object",
        type=Size(minimum=1 << 10),
        default="32m",
        help="Size of a body, in bytes, or with k, m or g, above which the agent stops reading it "
        "and does not fetch the page again. A value above [engine] max_object_size has no "
        "benefit, because such a response is not stored.",
    ),
    cfg.IntOpt(
        "keep_rate",
        default=20,
        min=1,
        help="Limit of requests per second while Nova copies the memory, for newly popular pages "
        "and stored pages that soon become unusable. Pages that a write has changed are fetched "
        "immediately, in addition.",
    ),
    cfg.FloatOpt(
        "keep_interval",
        default=2.0,
        min=0.1,
        help="Seconds between two searches for such pages.",
    ),
    cfg.FloatOpt(
        "refresh_before",
        default=10.0,
        min=0.0,
        help="Seconds before a stored page becomes unusable at which the agent fetches it again.",
    ),
]

_DISCOVERY = [
    cfg.BoolOpt(
        "discover",
        default=True,
        help="Whether to fetch, after the known pages, the resources that their HTML and CSS embed "
        "from the same host (images, scripts, style sheets, fonts), requested before or not.",
    ),
    cfg.BoolOpt(
        "discover_queries",
        default=False,
        help="Whether to fetch embedded resources with any query string, unless it may act or has "
        "a secret. Otherwise only static files (style sheets, scripts, images, fonts) with a query "
        "are fetched. Linked pages with a query are never fetched.",
    ),
    cfg.IntOpt(
        "discover_limit",
        default=500,
        min=0,
        help="Limit of embedded resources that are discovered and fetched in one handover. 0: "
        "none.",
    ),
    cfg.Opt(
        "discover_bytes",
        type=Size(minimum=1 << 10),
        default="256k",
        help="How much of an HTML or CSS body is searched, in bytes, or with k, m or g.",
    ),
]

_LINKS = [
    cfg.BoolOpt(
        "discover_links",
        default=True,
        help="Whether to fetch, after the known pages and their embedded resources, the pages that "
        "they link to on the same host and port and that had no request yet. Pages that the "
        "most needed pages link to come first. The agent uses GET only, without cookies, "
        "credentials or query strings, and does not follow the "
        "links of linked pages. In an application that violates HTTP (RFC 9110, section 9.2.1), "
        "such a GET can have an effect. Set this to false if you cannot rule that out for your "
        "tenants' applications. A service's own follow_links overrides this option. A page can "
        "exclude its links with rel=nofollow, <meta name=robots content=nofollow> or "
        "X-Robots-Tag: nofollow, a site with Disallow in its robots.txt.",
    ),
    cfg.IntOpt(
        "discover_links_limit",
        default=1_000,
        min=0,
        help="Limit of linked pages that are fetched in one handover. 0: none.",
    ),
    cfg.Opt(
        "discover_links_size",
        type=Size(),
        default="32m",
        help="Total size of linked pages, in bytes, or with k, m or g, after which no more are "
        "fetched in one handover, so that they do not displace known pages. Related: [engine] "
        "cache_size.",
    ),
    cfg.Opt(
        "discover_links_never",
        type=_Expression(),
        default=_NEVER_FOLLOWED,
        help="Python regular expression of links that are not followed, besides those that the "
        "agent never fetches because they may act or have a secret. It is searched in the "
        "percent-decoded path. The default excludes actions (logout, delete, "
        "unsubscribe, ...), archives and films. (?!) excludes nothing.",
    ),
]

OPTS = _DRIVER + _HOT_SET + _FETCHING + _DISCOVERY + _LINKS


def register(conf: cfg.ConfigOpts) -> None:
    """Register the options with ``conf``."""
    # A separate group object: oslo.config copies an OptGroup shallowly and would share overrides.
    conf.register_group(cfg.OptGroup(GROUP.name, title=GROUP.title))
    conf.register_opts(OPTS, group=GROUP.name)


def list_opts() -> list[tuple[Any, list[Any]]]:
    """Return the options for the sample generator."""
    return [(GROUP, OPTS)]
