"""Real database servers, each on a free port and in a temporary directory."""

from __future__ import annotations

import getpass
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from tests.functional.ports import free_port


class Server:
    """One server; ``stop(hard=True)`` kills it, ``start`` starts it again with its data."""

    def __init__(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="db-"))
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None
        self._log = (self.directory / "log").open("wb")

    @classmethod
    def missing(cls) -> str | None:
        """Return why it is not installed, None if it is."""
        raise NotImplementedError

    @property
    def url(self) -> str:
        raise NotImplementedError

    def command(self) -> list[str]:
        raise NotImplementedError

    def start(self) -> None:
        self.process = subprocess.Popen(self.command(), stdout=self._log, stderr=self._log,
                                        start_new_session=True, **_as_user())  # fmt: skip
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            if self.ready():
                return
            if self.process.poll() is not None:
                break
            time.sleep(0.05)
        text = (self.directory / "log").read_text(errors="replace")[-2000:]
        raise RuntimeError(f"{type(self).__name__} did not start: {text}")

    def ready(self) -> bool:
        raise NotImplementedError

    def stop(self, *, hard: bool = False) -> None:
        if self.process is not None:
            if hard:
                self.process.kill()
            else:
                self.process.terminate()
            self.process.wait(60)
            self.process = None

    def destroy(self) -> None:
        self.stop(hard=True)
        self._log.close()
        shutil.rmtree(self.directory, ignore_errors=True)


def _as_user() -> dict[str, object]:
    # neither server runs as root
    return {"user": "nobody", "group": "nogroup"} if os.getuid() == 0 else {}


def _own(path: Path) -> None:
    if os.getuid() == 0:
        path.chmod(0o755)
        shutil.chown(path, "nobody", "nogroup")


class PostgreSQL(Server):
    """From Debian's postgresql package."""

    BIN = max(Path("/usr/lib/postgresql").glob("*/bin"), default=Path("/nonexistent"))

    @classmethod
    def missing(cls) -> str | None:
        """Return why it is not installed, None if it is."""
        return None if (cls.BIN / "initdb").exists() else "PostgreSQL is not installed"

    def __init__(self) -> None:
        super().__init__()
        _own(self.directory)
        self._data = self.directory / "data"
        subprocess.run([self.BIN / "initdb", "-D", self._data, "-U", "journal", "-A", "trust",
                        "--no-sync"], check=True, stdout=self._log, stderr=self._log,
                       cwd="/", **_as_user())  # fmt: skip
        self.start()
        subprocess.run([self.BIN / "createdb", "-h", "127.0.0.1", "-p", str(self.port), "-U",
                        "journal", "journal"], check=True)  # fmt: skip

    @property
    def url(self) -> str:
        return f"postgresql+psycopg2://journal@127.0.0.1:{self.port}/journal"

    def command(self) -> list[str]:
        return [str(self.BIN / "postgres"), "-D", str(self._data), "-p", str(self.port),
                "-h", "127.0.0.1", "-k", str(self.directory)]  # fmt: skip

    def ready(self) -> bool:
        done = subprocess.run([self.BIN / "pg_isready", "-q", "-h", "127.0.0.1",
                               "-p", str(self.port)], check=False)  # fmt: skip
        return done.returncode == 0

    def stop(self, *, hard: bool = False) -> None:
        if self.process is not None and not hard:
            # "fast": clients are thrown out, as at a restart by an operator
            subprocess.run([self.BIN / "pg_ctl", "-D", self._data, "-m", "fast", "-w", "stop"],
                           check=True, stdout=self._log, cwd="/", **_as_user())  # fmt: skip
            self.process.wait(60)
            self.process = None
        super().stop(hard=hard)


class MariaDB(Server):
    """From Debian's mariadb-server package."""

    @classmethod
    def missing(cls) -> str | None:
        """Return why it is not installed, None if it is."""
        found = shutil.which("mariadbd") and shutil.which("mariadb-install-db")
        return None if found else "MariaDB is not installed"

    def __init__(self) -> None:
        super().__init__()
        _own(self.directory)
        self._data = self.directory / "data"
        user = "nobody" if os.getuid() == 0 else getpass.getuser()
        subprocess.run(["mariadb-install-db", "--no-defaults", f"--datadir={self._data}",
                        f"--user={user}", "--auth-root-authentication-method=normal",
                        "--skip-test-db"], check=True, stdout=self._log,
                       stderr=self._log)  # fmt: skip
        self.start()
        subprocess.run(["mariadb", "--no-defaults", "-h", "127.0.0.1", "-P", str(self.port), "-u",
                        "root", "-e", "CREATE DATABASE journal; CREATE USER journal@'127.0.0.1'; "
                        "GRANT ALL ON journal.* TO journal@'127.0.0.1'"], check=True)  # fmt: skip

    @property
    def url(self) -> str:
        return f"mysql+pymysql://journal@127.0.0.1:{self.port}/journal"

    def command(self) -> list[str]:
        return ["mariadbd", "--no-defaults", f"--datadir={self._data}", f"--port={self.port}",
                "--bind-address=127.0.0.1", f"--socket={self.directory / 'sock'}",
                "--skip-name-resolve", f"--pid-file={self.directory / 'pid'}"]  # fmt: skip

    def ready(self) -> bool:
        done = subprocess.run(["mariadb-admin", "--no-defaults", "-h", "127.0.0.1", "-P",
                               str(self.port), "-u", "root", "--connect-timeout=2", "ping"],
                              check=False, stdout=self._log, stderr=self._log)  # fmt: skip
        return done.returncode == 0
