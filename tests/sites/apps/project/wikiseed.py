"""Fills the wiki: wikiseed.py ARTICLES MEMBERS."""

import sys

import django

django.setup()

from django.contrib.auth import get_user_model  # noqa: E402 (needs the setup)
from wiki.models import URLPath  # noqa: E402

ARTICLES, MEMBERS = map(int, sys.argv[1:])
TEXT = "A garden path leads to the harbour, where boats wait for the morning tide.\n\n" * 12

root = URLPath.create_root(title="A wiki", content="")
links = "\n".join(f"* [Article {number}](/article-{number}/)" for number in range(1, ARTICLES + 1))
root.article.add_revision(
    type(root.article.current_revision)(
        title="A wiki", content=f"# All\n\n{links}\n", article=root.article
    )
)


def add(slug: str, title: str, content: str, owner=None) -> None:
    URLPath.create_urlpath(
        root, slug, title=title, content=content,
        article_kwargs={"owner": owner, "other_read": True},
    )  # fmt: skip


for number in range(1, ARTICLES + 1):
    add(f"article-{number}", f"Article {number}", TEXT)
for number in range(MEMBERS):
    name = f"member-{number}"
    user = get_user_model().objects.create_user(name, f"{name}@mail.test", f"secret of {name}")
    add(name, name, "About me", user)
