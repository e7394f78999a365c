"""The presets' rules for URLs of the applications."""

import unittest

from nova_cachemig.agent.services import presets
from nova_cachemig.model.policy import Policy


def policy_of(name):
    return Policy(inherited=presets.load()[name])


def static(name, url):
    return any(rule.static and rule.applies(url) for rule in presets.load()[name])


class PresetsTest(unittest.TestCase):
    def test_names(self):
        wanted = "django dokuwiki drupal json-api laravel mediawiki php rails static wordpress"
        self.assertEqual(wanted.split(), presets.names())

    def test_what_acts_or_belongs_to_one_user_is_never_stored(self):
        for name, url in (
            ("wordpress", "/wp-login.php?redirect_to=/"),
            ("wordpress", "/blog/wp-cron.php?doing_wp_cron=1"),
            ("wordpress", "/product/x/?add-to-cart=7"),
            ("mediawiki", "/index.php?title=Special:UserLogout"),
            ("mediawiki", "/wiki/Special%3AUserLogout"),
            ("mediawiki", "/w/index.php?title=X&action=edit"),
            ("dokuwiki", "/doku.php?id=start&do=logout"),
            ("dokuwiki", "/lib/exe/taskrunner.php?id=start"),
            ("drupal", "/user/logout"),
            ("drupal", "/node/1/edit"),
            ("django", "/admin/auth/user/"),
            ("laravel", "/logout"),
            ("rails", "/users/sign_out"),
            ("php", "/logout.php"),
            ("json-api", "/v1/oauth/token"),
        ):
            with self.subTest(name, url=url):
                self.assertTrue(policy_of(name).never(url))

    def test_pages_are_not_among_them(self):
        for name, url in (
            ("wordpress", "/2026/11/hello/"),
            ("mediawiki", "/index.php/Main_Page"),
            ("dokuwiki", "/doku.php?id=start"),
            ("drupal", "/node/1"),
            ("django", "/news/"),
            ("laravel", "/"),
            ("rails", "/posts/1"),
            ("php", "/index.php"),
            ("json-api", "/v1/items"),
        ):
            with self.subTest(name, url=url):
                self.assertFalse(policy_of(name).never(url))

    def test_only_files_of_the_application_are_static(self):
        for name, url in (
            ("wordpress", "/wp-content/themes/x/style.css?ver=6.1"),
            ("mediawiki", "/load.php?lang=en&modules=startup"),
            ("dokuwiki", "/lib/exe/css.php?t=dokuwiki"),
            ("drupal", "/core/misc/drupal.js?v=10"),
            ("django", "/static/site.css"),
            ("rails", "/assets/application-1f.js"),
            ("static", "/a/b.webp"),
        ):
            with self.subTest(name, url=url):
                self.assertTrue(static(name, url))
        for name, url in (
            ("wordpress", "/wp-content/uploads/2026/11/paid.pdf"),
            ("wordpress", "/wp-content/plugins/x/ajax.php?a=b.js"),
            ("dokuwiki", "/lib/exe/fetch.php?media=secret.png"),
            ("drupal", "/system/files/private.png"),
            ("static", "/report.php?x=a.css"),
        ):
            with self.subTest(name, url=url):
                self.assertFalse(static(name, url))
