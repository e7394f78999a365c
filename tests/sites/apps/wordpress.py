"""WordPress of Debian: Apache with PHP, MariaDB, members and commenters."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

from tests.functional.drain.rig import until
from tests.sites.apps.base import Application, Errand, Role
from tests.sites.browser import Person
from tests.sites.space import Space
from tests.sites.visitor import Visitor

_HERE = Path(__file__).parent
_MEMBER = re.compile(r'class="display-name">(member-[\w-]+)<')
_COMMENTER = re.compile(r'name="email"[^>]*value="([\w-]+)@mail\.test"')
_POSTS = 20
_MEMBERS = 400
_CONFIG = """<?php
define('DB_NAME', 'blog'); define('DB_USER', 'root'); define('DB_PASSWORD', '');
define('DB_HOST', 'localhost:{socket}'); define('DB_CHARSET', 'utf8mb4'); define('DB_COLLATE', '');
define('AUTH_KEY', 'a1'); define('SECURE_AUTH_KEY', 'a2'); define('LOGGED_IN_KEY', 'a3');
define('NONCE_KEY', 'a4'); define('AUTH_SALT', 'a5'); define('SECURE_AUTH_SALT', 'a6');
define('LOGGED_IN_SALT', 'a7'); define('NONCE_SALT', 'a8');
define('WP_HTTP_BLOCK_EXTERNAL', true); define('AUTOMATIC_UPDATER_DISABLED', true);
$table_prefix = 'wp_';
if (!defined('ABSPATH')) define('ABSPATH', __DIR__ . '/');
require_once ABSPATH . 'wp-settings.php';
"""
_APACHE = """
ServerRoot {folder}
ServerName blog.test
PidFile {folder}/apache.pid
ErrorLog {folder}/apache.log
Listen {address}:80
User www-data
Group www-data
KeepAlive On
KeepAliveTimeout 5
LoadModule mpm_prefork_module /usr/lib/apache2/modules/mod_mpm_prefork.so
LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so
LoadModule dir_module /usr/lib/apache2/modules/mod_dir.so
LoadModule mime_module /usr/lib/apache2/modules/mod_mime.so
LoadModule deflate_module /usr/lib/apache2/modules/mod_deflate.so
LoadModule filter_module /usr/lib/apache2/modules/mod_filter.so
LoadModule php_module /usr/lib/apache2/modules/libphp8.2.so
StartServers 8
MinSpareServers 8
MaxRequestWorkers 100
TypesConfig /etc/mime.types
DocumentRoot {site}
DirectoryIndex index.php
AddOutputFilterByType DEFLATE text/html text/css application/javascript application/rss+xml
<Directory {site}>
    Require all granted
    FallbackResource /index.php
</Directory>
<FilesMatch "\\.php$">
    SetHandler application/x-httpd-php
</FilesMatch>
"""


class WordPress(Application):
    """Posts with comments. Members log in; commenters are known by their cookies."""

    name = "wordpress"
    title = "WordPress"
    host = "blog.test"
    preset = "wordpress"
    session_cookies = ("wordpress_logged_in_*", "wordpress_sec_*", "comment_author_email_*")
    pages = (
        ("/", 8.0),
        *((f"/post-{number}/", 6.0 / number) for number in range(1, _POSTS + 1)),
        ("/category/travel/", 1.0),
        ("/category/kitchen/", 1.0),
        ("/about/", 1.0),
        ("/feed/", 0.4),
        ("/?s=garden", 0.2),
    )

    def create(self, space: Space) -> None:
        """Install and start MariaDB, Apache and the site."""
        self.space = space
        folder = space.folder
        folder.chmod(0o755)
        site = folder / "site"
        subprocess.run(["cp", "-rL", "/usr/share/wordpress", site], check=True)
        (site / "wp-config.php").unlink()
        (site / "wp-config.php").write_text(_CONFIG.format(socket=self._socket))
        plugins = site / "wp-content/mu-plugins"
        plugins.mkdir(exist_ok=True)
        shutil.copy(_HERE / "wordpress-settings.php", plugins / "settings.php")
        self._start_database()
        seed = ["php", "-d", "memory_limit=512M", str(_HERE / "wordpress-seed.php"), str(site),
                str(_POSTS), str(_MEMBERS)]  # fmt: skip
        done = subprocess.run(seed, check=False, capture_output=True, text=True)
        if done.returncode or "seeded" not in done.stdout:
            raise RuntimeError(f"WordPress is not installed: {done.stdout}{done.stderr}"[-2000:])
        config = folder / "apache.conf"
        config.write_text(_APACHE.format(folder=folder, site=site, address=space.address))
        space.start("/usr/sbin/apache2", "-f", str(config), "-DFOREGROUND")
        space.await_response(self.host)

    def _start_database(self) -> None:
        data = self.space.folder / "data"
        data.mkdir()
        shutil.chown(data, "mysql", "mysql")
        install = ["mariadb-install-db", "--user=mysql", f"--datadir={data}", "--skip-test-db",
                   "--auth-root-authentication-method=normal"]  # fmt: skip
        subprocess.run(install, check=True, capture_output=True)
        self.space.start(
            "/usr/sbin/mariadbd", "--no-defaults", "--user=mysql", f"--datadir={data}",
            f"--socket={self._socket}", "--skip-networking", "--innodb-buffer-pool-size=64M",
            "--innodb-flush-log-at-trx-commit=2",
        )  # fmt: skip
        until(lambda: self._sql("SELECT 1") == "1", "MariaDB responds", 60.0)
        self._sql("CREATE DATABASE blog CHARACTER SET utf8mb4")

    @property
    def _socket(self) -> Path:
        return self.space.folder / "data/sql.sock"

    def _sql(self, statement: str, database: str = "mysql") -> str:
        command = ["mariadb", "--no-defaults", f"--socket={self._socket}", "-uroot", "-N", "-B"]
        done = subprocess.run(
            [*command, "-e", statement, database], check=False, capture_output=True, text=True
        )
        return done.stdout.strip()

    def count(self, marker: str) -> int:
        """Return the number of comments with this text."""
        found = self._sql(
            f"SELECT COUNT(*) FROM wp_comments WHERE comment_content LIKE '%{marker}%'", "blog"
        )
        return int(found)

    def owners(self, text: str) -> set[str]:
        """Return the member of the bar at the top, and the commenter of the form."""
        return {*_MEMBER.findall(text), *_COMMENTER.findall(text)}

    # --- visitors

    def roles(self) -> list[tuple[Role, float]]:
        """Return what visitors do."""
        return [(self._read, 0.84), (self._comment, 0.08), (self._join, 0.08)]

    async def _read(self, visitor: Visitor) -> None:
        for _ in range(visitor.random.choice((1, 1, 2, 3, 4, 6))):
            await visitor.view(self.some_page(visitor.random))
            await visitor.think()

    async def _comment(self, visitor: Visitor) -> None:
        await visitor.view("/")
        await visitor.think()
        number = visitor.random.randrange(1, _POSTS + 1)
        post = f"/post-{number}/"
        reply = await visitor.view(post, "/")
        found = re.search(r"name='comment_post_ID' value='(\d+)'", reply.text)
        if found is None:
            return
        await visitor.think()
        write = visitor.write(post)
        form = {
            "comment": f"A word about this: {write.marker}",
            "author": visitor.name,
            "email": f"{visitor.name}@mail.test",
            "url": "",
            "wp-comment-cookies-consent": "yes",
            "submit": "Post Comment",
            "comment_post_ID": found[1],
            "comment_parent": "0",
        }
        answer, location = await visitor.post("/wp-comments-post.php", form, post)
        if answer.status != 302:
            visitor.broken(f"the comment got {answer.status}")
            return
        write.acknowledged = True
        visitor.expect(post, write.marker)
        await visitor.view(location or post)
        await visitor.think()
        await self._read(visitor)
        await visitor.view(post)

    async def _join(self, visitor: Visitor) -> None:
        await visitor.view("/")
        await visitor.think()
        visitor.name = self.next_member()
        visitor.identities = {visitor.name}
        reply = await visitor.view("/wp-login.php")
        if reply.status != 200:
            return
        form = {
            "log": visitor.name,
            "pwd": f"secret of {visitor.name}",
            "wp-submit": "Log In",
            "redirect_to": f"http://{self.host}/",
            "testcookie": "1",
        }
        answer, location = await visitor.post("/wp-login.php", form)
        if answer.status != 302:
            visitor.broken(f"the login got {answer.status}")
            return
        visitor.logged_in = True
        await visitor.view(location)
        await visitor.think()
        await self._read(visitor)

    # --- users of the browser

    def errands(self) -> list[Errand]:
        """Return what the users of the browser do."""
        return [self._click, self._write, self._log_in]

    async def _click(self, person: Person) -> None:
        await person.go("/")
        for number in (1, 2, 3):
            await person.think()
            await person.click(f'a[href$="/post-{_POSTS + 1 - number}/"]')
            await person.think()
            await person.go("/")

    async def _write(self, person: Person) -> None:
        post = f"/post-{person.random.randrange(1, _POSTS + 1)}/"
        await person.go(post)
        for _ in range(2):
            await person.think()
            write = person.write(post)
            await person.fill("#comment", f"From the browser: {write.marker}")
            if await person.page.locator("#author").count():
                await person.fill("#author", person.name)
                await person.fill("#email", f"{person.name}@mail.test")
                await person.page.check("#wp-comment-cookies-consent")
            text = await person.click("#commentform #submit")
            write.acknowledged = write.marker in text
            if not write.acknowledged:
                person.log.old.append(f"{person.name} (browser): {post} lacks {write.marker}")
            await person.think()
        await person.go("/")

    async def _log_in(self, person: Person) -> None:
        name = self.next_member()
        await person.go("/")
        await person.think()
        await person.go(f"/wp-login.php?redirect_to=http%3A%2F%2F{self.host}%2F")
        await person.fill("#user_login", name)
        await person.fill("#user_pass", f"secret of {name}")
        person.name, person.identities = name, {name}
        if name not in self.owners(await person.click("#wp-submit")):
            raise ValueError(f"{name} is not logged in")
        person.logged_in = True
        for number in (1, 2, 3):
            await person.think()
            await person.go(f"/post-{number}/")
