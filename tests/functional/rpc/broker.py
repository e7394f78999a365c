"""A private RabbitMQ node: with its own ports, data, cookie and port mapper.

``CACHEMIG_RABBITMQ`` names a directory of tools/other-rabbitmq: the tests then run against the
RabbitMQ in it. ``CACHEMIG_BUS=kolla`` makes all programs use it as in a cloud of Kolla-Ansible.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import os
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.parse
from pathlib import Path

import amqp

from tests.functional.ports import free_port

START_LIMIT = 90.0
DEPRECATED = ("transient_nonexcl_queues", "global_qos", "queue_master_locator")
"""Features of AMQP that RabbitMQ 4 permits by default, and that a later release removes."""

OPTIONS: dict[str, dict[str, str]] = {
    "plain": {},
    "kolla": {
        "ssl": "true",
        "use_queue_manager": "true",
        "rabbit_quorum_queue": "true",
        "rabbit_transient_quorum_queue": "true",
        "rabbit_stream_fanout": "true",
        "rabbit_qos_prefetch_count": "50",
    },
}
"""``CACHEMIG_BUS`` → options of [oslo_messaging_rabbit], which each URL contains.

Those of ``kolla`` are in tools/cloudlib/profiles/kolla.sh too.
"""


def _root() -> Path:
    return Path(os.environ.get("CACHEMIG_RABBITMQ", "/")).resolve()


def _program() -> str | None:
    """Return the node's own script: Debian's wrapper changes the user and the directories."""
    home = _root() / "usr/lib/rabbitmq/lib"
    found = sorted(home.glob("rabbitmq_server-*/sbin/rabbitmq-server"))
    if found or "CACHEMIG_RABBITMQ" in os.environ:
        return str(found[-1])
    return shutil.which("rabbitmq-server")


def _is_3(program: str) -> bool:
    return "rabbitmq_server-3." in program


def make_certificate(certificate: Path, key: Path) -> None:
    """Make a self-signed certificate for 127.0.0.1."""
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    command += ["-nodes", "-days", "2", "-subj", "/CN=rabbit"]
    command += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key)]
    subprocess.run([*command, "-out", str(certificate)], check=True, capture_output=True)


class Broker:
    """A node that a test can start and stop repeatedly; the port stays the same.

    ``config``: more lines for rabbitmq.conf. ``strict``: RabbitMQ 4 refuses :data:`DEPRECATED`.
    ``bus``: instead of ``CACHEMIG_BUS``. ``port`` is the one without TLS, for the connections of a
    test itself.
    """

    def __init__(self, *config: str, strict: bool = False, bus: str = "") -> None:
        program = _program()
        path = f"{_root() / 'usr/bin'}:{os.environ['PATH']}:/usr/sbin:/sbin"
        mapper = shutil.which("epmd", path=path)
        if program is None or mapper is None:
            raise RuntimeError("rabbitmq-server is not installed")
        self._program = program
        self._mapper_program = mapper
        self._path = path
        self._config = list(config)
        if strict and not _is_3(program):
            self._config += [f"deprecated_features.permit.{name} = false" for name in DEPRECATED]
        self._home = Path(tempfile.mkdtemp(prefix="cachemig-rabbit-"))
        self.port = free_port()
        self._mapper_port = free_port()
        self._options = dict(OPTIONS[bus or os.environ.get("CACHEMIG_BUS", "plain")])
        self._served_port = self.port
        if "ssl" in self._options:
            self._served_port = free_port()
            self._options["ssl_ca_file"] = self._add_tls(self._served_port)
        self._node: subprocess.Popen[bytes] | None = None
        self._mapper: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Return the transport URL for oslo.messaging, of the virtual host /."""
        return self.address()

    def address(self, vhost: str = "", login: str = "guest:guest") -> str:
        """Return the transport URL for oslo.messaging, with :data:`OPTIONS`."""
        query = urllib.parse.urlencode(self._options, safe="/")
        url = f"rabbit://{login}@127.0.0.1:{self._served_port}/{vhost}"
        return f"{url}?{query}" if query else url

    def _add_tls(self, port: int) -> str:
        """Make RabbitMQ listen with TLS too; return the file of its certificate."""
        certificate, key = self._home / "tls.pem", self._home / "tls.key"
        make_certificate(certificate, key)
        self._config += [
            f"listeners.ssl.1 = 127.0.0.1:{port}",
            f"ssl_options.cacertfile = {certificate}",
            f"ssl_options.certfile = {certificate}",
            f"ssl_options.keyfile = {key}",
            "ssl_options.verify = verify_none",
        ]
        return str(certificate)

    def start(self) -> None:
        """Start the node; return when it accepts connections."""
        if self._mapper is None:
            self._mapper = subprocess.Popen(
                [self._mapper_program, "-address", "127.0.0.1", "-port", str(self._mapper_port)],
                env=os.environ | {"ERL_EPMD_ADDRESS": "127.0.0.1"},
            )
        with (self._home / "node.log").open("ab") as output:
            self._node = subprocess.Popen(
                [self._program],
                env=self._environment(),
                stdout=output,
                stderr=output,
                cwd=self._home,
                start_new_session=True,
            )
        self._await_ready(self._node)

    def stop(self, *, kill: bool = False) -> None:
        """End the node; with ``kill`` it gets no time to say goodbye."""
        node, self._node = self._node, None
        if node is None:
            return
        node.send_signal(signal.SIGKILL if kill else signal.SIGTERM)
        try:
            node.wait(30)
        finally:
            # The node has helpers of its own (inet_gethost, memsup) in its session.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(node.pid, signal.SIGKILL)
            node.wait(10)

    def freeze(self) -> None:
        """Its kernel still takes bytes, the node sends nothing."""
        assert self._node is not None
        self._node.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """The opposite of :meth:`freeze`."""
        assert self._node is not None
        self._node.send_signal(signal.SIGCONT)

    def ctl(self, *arguments: str) -> list[list[str]]:
        """Run rabbitmqctl; the fields of each line of its output."""
        program = Path(self._program).with_name("rabbitmqctl")
        headers = ["--no-table-headers"] if arguments[0].startswith("list") else []
        done = subprocess.run(
            [str(program), "--quiet", *arguments, *headers],
            env=self._environment(),
            cwd=self._home,
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        return [line.split("\t") for line in done.stdout.splitlines()]

    def close(self) -> None:
        """End all and leave nothing behind."""
        self.stop(kill=True)
        if self._mapper is not None:
            self._mapper.kill()
            self._mapper.wait(10)
        shutil.rmtree(self._home, ignore_errors=True)

    @classmethod
    @functools.cache
    def shared(cls) -> Broker:
        """Return a running node for those tests of this process that use unique topics.

        They must not stop it.
        """
        broker = cls()
        broker.start()
        atexit.register(broker.close)
        return broker

    def _environment(self) -> dict[str, str]:
        home = str(self._home)
        lines = [
            f"listeners.tcp.1 = 127.0.0.1:{self.port}",
            "log.console = true",
            "log.file = false",
        ]
        (self._home / "rabbitmq.conf").write_text("\n".join([*lines, *self._config, ""]))
        (self._home / "plugins").write_text("[].\n")
        return {
            "PATH": self._path,
            "HOME": home,
            "LANG": "C.UTF-8",
            "ERL_EPMD_PORT": str(self._mapper_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": f"cachemig{self.port}@localhost",
            "RABBITMQ_DIST_PORT": str(free_port()),
            "RABBITMQ_CONFIG_FILE": f"{home}/rabbitmq.conf",
            "RABBITMQ_CONF_ENV_FILE": f"{home}/no-such-file",
            "RABBITMQ_ENABLED_PLUGINS_FILE": f"{home}/plugins",
            "RABBITMQ_MNESIA_BASE": f"{home}/mnesia",
            "RABBITMQ_LOG_BASE": f"{home}/log",
            "RABBITMQ_PID_FILE": f"{home}/pid",
            # Run the Erlang machine instead of the script, so that its pid is the child's.
            "RUNNING_UNDER_SYSTEMD": "1",
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 1:1 +sbwt none +sbwtdcpu none",
        }

    def _await_ready(self, node: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + START_LIMIT
        while time.monotonic() < deadline:
            if node.poll() is not None:
                break
            try:
                connection = amqp.Connection(f"127.0.0.1:{self.port}", connect_timeout=2)
                connection.connect()
                connection.close()
            except (OSError, amqp.AMQPError):
                time.sleep(0.1)  # RabbitMQ sends no notification
            else:
                return
        tail = (self._home / "node.log").read_text(errors="replace")[-2000:]
        self.close()
        raise RuntimeError(f"RabbitMQ did not start within {START_LIMIT:.0f} s:\n{tail}")
