"""TLS and HTTP/2 on front addresses, with curl and OpenSSL as clients."""

from __future__ import annotations

import asyncio
import ssl
import subprocess
import unittest.mock
from pathlib import Path

from nova_cachemig.agent.engine import driver
from nova_cachemig.model.phase import EdgeState
from nova_cachemig.model.service import Tls
from tests.functional.engine.rig import EngineCase


def make_certificate(path: Path, *hosts: str) -> None:
    """Write a certificate with its key into one file."""
    key = path.with_suffix(".tmp")
    names = ",".join(f"DNS:{host}" for host in hosts)
    command = ["openssl", "req", "-x509", "-nodes", "-days", "1", "-newkey", "ec"]
    command += ["-pkeyopt", "ec_paramgen_curve:P-256", "-subj", f"/CN={hosts[0]}"]
    command += ["-addext", f"subjectAltName={names}", "-keyout", str(key), "-out", str(key) + "c"]
    subprocess.run(command, check=True, capture_output=True, timeout=30)
    text = Path(str(key) + "c").read_text() + "\n" + key.read_text()
    path.touch(mode=0o600)
    path.write_text(text)


class FrontTls(EngineCase):
    async def asyncSetUp(self) -> None:
        await super().asyncSetUp()
        self.files = self.root / "files"
        self.files.mkdir()
        for name in ("one", "two"):
            make_certificate(self.files / f"{name}.pem", f"{name}.example")
        self.service = self.encrypted("one")
        self.routes = [self.route(self.service)]
        self.routes.append(self.route(self.encrypted("two", min_version="1.3")))
        self.assertEqual({}, await self.engine.apply(self.routes))

    def encrypted(self, name: str, **fields: str) -> object:
        tls = Tls((str(self.files / f"{name}.pem"),), **fields)
        return self.a_service(name, hosts=(f"{name}.example",), tls=tls)

    async def curl(self, url: str, *options: str) -> str:
        """Return the status, the version of HTTP and the exit code."""
        port = self.edge[1]
        args = ["curl", "-s", "-k", "-m", "10", "-o", "/dev/null"]
        args += ["-w", "%{http_code} %{http_version} %{exitcode}"]
        for name in ("one", "two", "three"):
            args += ["--connect-to", f"{name}.example:443:127.0.0.1:{port}"]
        child = await asyncio.create_subprocess_exec(
            *args, *options, url, stdout=asyncio.subprocess.PIPE
        )
        return (await child.communicate())[0].decode()

    async def serial(self, name: str = "one") -> bytes:
        """Return the certificate that a new connection gets."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        _, writer = await asyncio.open_connection(
            *self.edge, ssl=context, server_hostname=f"{name}.example"
        )
        try:
            return writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        finally:
            writer.close()

    async def test_clients_in_every_state(self) -> None:
        for state in (EdgeState.PASS, EdgeState.ARMED, EdgeState.REPLAY):
            await self.flip(state)
            for option, version in (("--http1.1", "1.1"), ("--http2", "2")):
                for method in ("GET", "POST"):
                    with self.subTest(state=state, version=version, method=method):
                        url = f"https://one.example/{state.value}{version}{method}"
                        got = await self.curl(
                            url, option, "-X", method, "-H", "X-Forwarded-Proto: http"
                        )
                        self.assertEqual(f"200 {version} 0", got)
                        seen = self.guest.seen[-1] if state is not EdgeState.REPLAY else None
                        if seen is not None:
                            self.assertEqual("https", seen.headers["x-forwarded-proto"])

    async def test_one_connection_serves_one_tenant(self) -> None:
        for option in ("--http1.1", "--http2"):
            got = await self.curl("https://one.example/a", option, "-H", "Host: two.example")
            self.assertTrue(got.startswith("421"), got)
            got = await self.curl("https://three.example/a", option)
            self.assertFalse(got.endswith(" 0"), got)
        self.assertEqual(0, self.guest.count("/a"))

    async def test_the_oldest_version_of_a_service(self) -> None:
        old = ("--tls-max", "1.2")
        self.assertTrue((await self.curl("https://one.example/", *old)).startswith("200"))
        self.assertEqual("000 0 35", await self.curl("https://two.example/", *old))
        self.assertTrue((await self.curl("https://two.example/")).startswith("200"))

    async def test_a_renewed_certificate_cuts_nobody(self) -> None:
        self.enterContext(unittest.mock.patch.object(driver, "CERTIFICATES_POLL", 0.05))
        worker = await self.engine._edge.worker_pid()
        before = await self.serial()
        context = ssl._create_unverified_context()
        reader, writer = await asyncio.open_connection(
            *self.edge, ssl=context, server_hostname="one.example"
        )
        self.addCleanup(writer.close)
        make_certificate(self.files / "one.pem", "one.example")
        await self.engine.apply(self.routes)
        self.assertNotEqual(before, await self.serial())
        writer.write(b"GET /kept HTTP/1.1\r\nHost: one.example\r\n\r\n")
        self.assertIn(b" 200 ", await asyncio.wait_for(reader.readline(), 5))
        self.assertEqual(worker, await self.engine._edge.worker_pid())

    async def test_a_certificate_that_cannot_be_used(self) -> None:
        before = await self.serial()
        path = self.files / "one.pem"
        text = path.read_text()
        for change in (
            lambda: path.chmod(0o644),
            lambda: path.write_text("nothing"),
            lambda: path.write_text(text + (self.files / "two.pem").read_text()[:200]),
            path.unlink,
        ):
            change()
            refused = await self.engine.apply([self.route(self.service)])
            self.assertIn("service one: tls: ", refused["one"])
            self.assertEqual(before, await self.serial())
            if path.exists():
                path.chmod(0o600)
                path.write_text(text)

    async def test_a_service_without_a_certificate_is_refused_alone(self) -> None:
        routes = [self.route(self.service), self.route(self.encrypted("three"))]
        refused = await self.engine.apply(routes)
        self.assertEqual(["three"], list(refused))
        self.assertEqual("200 2 0", await self.curl("https://one.example/"))

    async def test_another_service_on_the_same_address(self) -> None:
        make_certificate(self.files / "three.pem", "three.example")
        routes = [self.route(self.service), self.route(self.encrypted("three"))]
        self.assertEqual({}, await self.engine.apply(routes))
        self.assertEqual("200 2 0", await self.curl("https://three.example/"))
