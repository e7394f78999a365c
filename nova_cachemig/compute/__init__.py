"""Runs in nova-compute: the notification driver and the watcher of guests. Fails open."""
