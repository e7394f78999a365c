"""The applications: each is installed from packages that others made."""

from __future__ import annotations

from tests.sites.apps.base import Application
from tests.sites.apps.djangowiki import DjangoWiki
from tests.sites.apps.jsonserver import JsonServer
from tests.sites.apps.wordpress import WordPress

APPLICATIONS: dict[str, type[Application]] = {
    one.name: one for one in (WordPress, DjangoWiki, JsonServer)
}
