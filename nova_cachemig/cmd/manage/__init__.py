"""``nova-cachemig-manage``: one module a noun, each command a cliff class."""
