"""One agent owns the database. Two would send every write twice.

* The owner holds a lock that ends with its process or its connection: PostgreSQL's advisory lock,
  ``GET_LOCK`` of MariaDB and MySQL, for SQLite an flock beside the file. A second agent does not
  start.
* The lock of a server ends too early if the connection breaks. So the table ``owner`` has a number,
  the *generation*, which each new owner raises. Each transaction of the journal checks it, and
  locks it until COMMIT. An agent whose generation is no longer there has lost the database: it
  accepts and sends nothing more, and ends.
* Writes that were committed before may be sent without the database. So a thread checks the
  generation every two seconds, and without success for 10 s nothing is sent. An agent that takes
  over from one that did not stop waits longer than that.
"""

from __future__ import annotations

import dataclasses
import fcntl
import logging
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import sqlalchemy as sa

from nova_cachemig.agent.journal import failures
from nova_cachemig.agent.journal.database import cause_of
from nova_cachemig.agent.journal.errors import JournalError, JournalLocked, OwnershipLost
from nova_cachemig.agent.journal.schema import OWNER

LOG = logging.getLogger(__name__)

_BEAT: Final = 2.0  # seconds between checks
_LEASE: Final = 10.0  # seconds after the last check for which writes may be sent
_TAKEOVER: Final = 15.0  # seconds to wait for an owner that did not stop
_PATIENCE: Final = 5.0  # seconds for the server to notice that a former agent has died
_LOCK: Final = 0x6E63_6D69_6721  # PostgreSQL's number of the lock: arbitrary, but the same always


@dataclasses.dataclass(frozen=True, slots=True)
class Previous:
    """The owner before this one."""

    generation: int  # 0: there was none
    holder: str | None  # None: it stopped, and released the database


class Owner:
    """Takes and keeps the ownership of one database."""

    def __init__(self, engine: sa.Engine, state_dir: Path) -> None:
        self._engine = engine
        self._holder = f"{os.uname().nodename}:{state_dir}, process {os.getpid()}"[:255]
        self._connection: sa.Connection | None = None  # has the server's lock
        self._fd: int | None = None  # has SQLite's
        self._on_lost: Callable[[], None] | None = None
        self._thread: threading.Thread | None = None
        self._ending = threading.Event()
        self._checked_at = 0.0  # monotonic time before the last successful check
        self._is_server = engine.dialect.name != "sqlite"
        self.generation = 0
        self.lost = False

    @property
    def is_server(self) -> bool:
        """Whether the lock can end before the process. SQLite's cannot."""
        return self._is_server

    @property
    def may_send(self) -> bool:
        """Whether no other agent can be sending writes now."""
        return not self.is_server or (
            not self.lost and time.monotonic() - self._checked_at < _LEASE
        )

    # --- the start. These methods block.

    def lock(self) -> Previous:
        """Take the lock; return who had it. Raises JournalLocked if another agent has it."""
        if self.is_server:
            self._connection = self._connect()
            deadline = time.monotonic() + _PATIENCE
            while not self._try_lock(self._connection):
                if time.monotonic() >= deadline:
                    raise JournalLocked(
                        f"another agent ({self._row(self._connection).holder}) uses the journal's "
                        "database: stop it, or give this one another [journal] connection"
                    )
                time.sleep(0.2)
            return self._row(self._connection)
        self._lock_file(Path(self._engine.url.database or ""))
        with self._engine.connect() as connection:
            return self._row(connection)

    def claim(self, connection: sa.Connection, previous: Previous) -> None:
        """Raise the generation in the connection's transaction."""
        self.generation = previous.generation + 1
        values = {"generation": self.generation, "holder": self._holder}
        if previous.generation == 0:
            connection.execute(sa.delete(OWNER))
            connection.execute(sa.insert(OWNER).values(id=1, **values))
        else:
            connection.execute(sa.update(OWNER).values(**values))

    def wait_for_predecessor(self, previous: Previous) -> None:
        """Wait until an owner in another place, which did not stop, certainly sends nothing."""
        if self.is_server and previous.holder is not None:
            LOG.warning(
                "Taking the journal's database over from %s, which has not released it, in %d s",
                previous.holder, _TAKEOVER,
            )  # fmt: skip
            time.sleep(_TAKEOVER)

    def start(self, on_lost: Callable[[], None]) -> None:
        """Check from now on. ``on_lost`` is called once, in another thread."""
        self._on_lost = on_lost
        if self.is_server:
            self._checked_at = time.monotonic()
            self._thread = threading.Thread(target=self._keep, name="journal-owner", daemon=True)
            self._thread.start()

    def release(self) -> None:
        """Release the database. The next owner need not wait."""
        self._ending.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        try:
            if self.generation and not self.lost:
                mine = sa.update(OWNER).where(OWNER.c.generation == self.generation)
                with self._engine.begin() as connection:
                    connection.execute(mine.values(holder=None))
        except failures.ERRORS as exc:
            LOG.warning("Cannot release the journal's database: %s", cause_of(exc))
        self._disconnect()
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    # --- checks

    def check(self, connection: sa.Connection) -> None:
        """Check the generation, and keep it until the transaction ends. Raises OwnershipLost."""
        if not self.is_server:
            return
        found = connection.execute(_GENERATION_LOCKED).scalar()
        if found != self.generation:
            self.lose(f"another agent has taken it over (generation {found})")
            raise OwnershipLost("this agent no longer owns the journal's database")

    def lose(self, why: str) -> None:
        """Send and accept nothing more."""
        if self.lost:
            return
        self.lost = True
        LOG.critical("This agent no longer owns the journal's database: %s", why)
        if self._on_lost is not None:
            self._on_lost()

    def _keep(self) -> None:
        """Check every two seconds, and take the lock again after the connection was lost."""
        locked = True
        while not self._ending.wait(_BEAT) and not self.lost:
            began = time.monotonic()
            try:
                if self._connection is None:
                    self._connection, locked = self._connect(), False
                found = self._row(self._connection)
                if found.generation != self.generation:
                    self.lose(f"{found.holder} has taken it over")
                    return
                locked = locked or self._try_lock(self._connection)
                self._checked_at = began
            except failures.ERRORS as exc:
                LOG.warning("Cannot check the owner of the journal's database: %s", cause_of(exc))
                self._disconnect()

    # --- the lock

    def _connect(self) -> sa.Connection:
        connection = self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        # Let the server notice within seconds that this host has gone.
        if self._engine.dialect.name == "postgresql":
            for name, value in (("idle", 5), ("interval", 5), ("count", 2)):
                connection.execute(sa.text(f"SET tcp_keepalives_{name} = {value}"))
        else:
            connection.execute(sa.text("SET SESSION wait_timeout = 20"))
        return connection

    def _try_lock(self, connection: sa.Connection) -> bool:
        if self._engine.dialect.name == "postgresql":
            query = sa.select(sa.func.pg_try_advisory_lock(_LOCK))
        else:  # it is a lock of the whole server
            query = sa.select(sa.func.get_lock(sa.func.concat("cachemig ", _DATABASE), 0))
        return bool(connection.execute(query).scalar())

    def _lock_file(self, database: Path) -> None:
        try:
            path = database.with_name(f"{database.name}-owner")
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as exc:
            raise JournalError(f"cannot lock the journal's database: {exc}") from exc
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as exc:
            os.close(fd)
            with self._engine.connect() as connection:
                holder = self._row(connection).holder
            raise JournalLocked(
                f"another agent ({holder}) uses {database}: stop it, or give this one another "
                "[journal] connection"
            ) from exc
        self._fd = fd

    def _disconnect(self) -> None:
        if self._connection is not None:
            try:
                self._connection.invalidate()
                self._connection.close()
            except failures.ERRORS as exc:
                LOG.debug("Cannot close the owner's connection: %s", cause_of(exc))
            self._connection = None

    @staticmethod
    def _row(connection: sa.Connection) -> Previous:
        found = connection.execute(sa.select(OWNER.c.generation, OWNER.c.holder)).first()
        return Previous(0, None) if found is None else Previous(found.generation, found.holder)


_DATABASE: Final = sa.func.md5(sa.func.database())
_GENERATION_LOCKED: Final = sa.select(OWNER.c.generation).with_for_update(read=True)
