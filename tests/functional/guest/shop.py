"""The common part of the Flask and the Starlette application: orders, and planted faults.

It runs in the application's process; the test's side of it is ``rig.py``.
"""

from __future__ import annotations

import os
import signal
import sqlite3
from pathlib import Path

from nova_cachemig.guest import AfterCrash, Settings

HERE = Path(os.environ["SHOP_DIR"])
SETTINGS = Settings(
    methods=frozenset({"POST", "PATCH", "PUT"}),
    max_body=1 << 20,
    max_response=64 << 10,
    after_crash=AfterCrash(os.environ.get("SHOP_AFTER_CRASH", "again")),
)
GUARDED = os.environ.get("SHOP_GUARDED", "yes") == "yes"


KEYS = HERE / "keys.db"


def apply(order: bytes) -> bytes:
    """Apply an order: a line in the log. Die before or after it, or wait, if a test requests it."""
    die_at("before")
    if (HERE / "arrived").exists():
        (HERE / "arrived").open("w").close()  # FIFOs: both sides wait for each other
        (HERE / "go").open().close()
    with (HERE / "log").open("ab", buffering=0) as log:
        log.write(order[:64] + b"\n")
    die_at("applied")
    return b"applied " + order[:64]


def apply_with_key(order: bytes, key: str) -> tuple[str, bool]:
    """The documented way to close the gap: the key in the application's own transaction."""
    database = sqlite3.connect(HERE / "orders.db", timeout=10)
    database.execute("CREATE TABLE IF NOT EXISTS orders (key TEXT PRIMARY KEY, text TEXT)")
    try:
        with database:
            database.execute("INSERT INTO orders VALUES (?, ?)", (key, order.decode()))
    except sqlite3.IntegrityError:
        (text,) = database.execute("SELECT text FROM orders WHERE key = ?", (key,)).fetchone()
        return text, False
    finally:
        database.close()
    (HERE / "log").open("ab").write(order + b"\n")
    die_at("applied")
    return order.decode(), True


def die_at(point: str) -> None:
    """Die once, like in a power failure, if a test has armed this point."""
    try:
        who = (HERE / f"die-{point}").read_text()
        (HERE / f"die-{point}").unlink()
    except FileNotFoundError:
        return
    os.kill(os.getpid() if who == "worker" else -os.getpgrp(), signal.SIGKILL)
