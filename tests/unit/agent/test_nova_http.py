"""Nova's view over real HTTP, from a Keystone and a Nova of recorded shapes."""

import http.server
import json
import pathlib
import tempfile
import threading
import time
import unittest
import unittest.mock
import urllib.parse

from keystoneauth1 import fixture
from oslo_config import cfg

from nova_cachemig.agent import nova as nova_module
from nova_cachemig.agent.instance import UnknownInstanceError
from nova_cachemig.agent.nova import NovaApi
from nova_cachemig.agent.ports import MigrationState, NovaUnreachableError
from nova_cachemig.conf import nova as nova_conf

UUID = "4f6b9b8c-0d4e-4a52-8f6f-3f1f2b7f5a10"
SERVER = {
    "id": UUID, "name": "web", "tenant_id": "6f70656e737463", "status": "ACTIVE",
    "OS-EXT-SRV-ATTR:host": "compute1", "OS-EXT-STS:task_state": None,
    "addresses": {"private": [{"version": 4, "addr": "10.0.0.5", "OS-EXT-IPS:type": "fixed",
                               "OS-EXT-IPS-MAC:mac_addr": "fa:16:3e:00:00:01"}]},
}  # fmt: skip


def migration(number, status, updated):
    return {
        "id": number, "uuid": f"00000000-0000-0000-0000-{number:012}", "instance_uuid": UUID,
        "status": status, "migration_type": "live-migration", "source_compute": "compute1",
        "dest_compute": "compute2", "source_node": "compute1", "dest_node": "compute2",
        "dest_host": "10.9.0.2", "old_instance_type_id": 1, "new_instance_type_id": 1,
        "project_id": "6f70656e737463", "user_id": "u",
        "created_at": "2016-01-29T13:42:02.000000",
        "updated_at": time.strftime("%Y-%m-%dT%H:%M:%S.000000", time.gmtime(updated)),
    }  # fmt: skip


class Cloud(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def date_time_string(self, timestamp=None):
        return super().date_time_string(timestamp or self.server.state["clock"])

    def reply(self, status, body, **headers):
        text = json.dumps(body).encode()
        self.send_response(status)
        for name, value in {"Content-Length": str(len(text)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(text)

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        token = fixture.V3Token(user_name="agent", project_id="p")
        token.set_project_scope(id="p")
        token.add_service("compute", name="nova").add_standard_endpoints(
            internal=f"{self.server.base}/compute/v2.1", region="RegionOne"
        )
        self.reply(201, token, **{"X-Subject-Token": "t"})

    def do_GET(self):
        state = self.server.state
        path, _, query = self.path.partition("?")
        if path in {"/", "/v3", "/v3/"}:
            self.reply(200, {"version": fixture.V3Discovery(f"{self.server.base}/v3")})
            return
        state["asked"].append(
            (
                path,
                dict(urllib.parse.parse_qsl(query)),
                self.headers.get("X-OpenStack-Nova-API-Version"),
            )
        )
        if state["stall"].is_set():
            state["go"].wait(10)
        failures = state["failures"]
        if failures:
            self.reply(failures.pop(), {"computeFault": {"message": "broken", "code": 500}})
        elif path == f"/compute/v2.1/servers/{UUID}":
            self.reply(200, {"server": SERVER})
        elif path.startswith("/compute/v2.1/servers/") and not path.endswith("/detail"):
            self.reply(404, {"itemNotFound": {"message": "could not be found", "code": 404}})
        elif path == "/compute/v2.1/servers/detail":
            marker = dict(urllib.parse.parse_qsl(query)).get("marker")
            self.reply(200, {"servers": [] if marker else state["servers"]})
        elif path == "/compute/v2.1/os-migrations":
            self.reply(200, {"migrations": state["migrations"]})
        else:
            self.reply(404, {})


class HttpTest(unittest.IsolatedAsyncioTestCase):
    def setUp(self):
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Cloud)
        server.daemon_threads = True
        server.handle_error = lambda *_: None  # a client that gave up
        server.base = f"http://127.0.0.1:{server.server_port}"
        self.state = server.state = {
            "asked": [], "failures": [], "migrations": [], "servers": [SERVER],
            "clock": None, "stall": threading.Event(), "go": threading.Event(),
        }  # fmt: skip
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        self.addCleanup(self.state["go"].set)
        self.url = f"{server.base}/v3"
        self.nova = NovaApi(self.account(self.url))

    def configured(self, *lines):
        """As from a configuration file with these lines in [nova]."""
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        path = pathlib.Path(directory.name, "agent.conf")
        path.write_text("\n".join(["[nova]", *lines]) + "\n")
        # keystoneauth1 registers more options with the group, which every ConfigOpts would share.
        group = unittest.mock.patch.object(nova_conf, "GROUP", cfg.OptGroup("nova"))
        conf = cfg.ConfigOpts()
        with group:
            nova_conf.register(conf)
        conf(["--config-file", str(path)])
        return conf

    def account(self, url, *lines):
        return self.configured(
            "auth_type = password", f"auth_url = {url}", "username = agent", "password = secret",
            "project_name = service", "user_domain_name = Default",
            "project_domain_name = Default", *lines,
        )  # fmt: skip

    async def test_instance(self):
        instance = await self.nova.instance(UUID)
        self.assertEqual((UUID, "10.0.0.5"), (instance.uuid, instance.address(None)))
        self.assertEqual("2.80", self.state["asked"][-1][2])

    async def asked_with(self, *lines):
        """The instance, with more lines in [nova]."""
        return await NovaApi(self.account(self.url, *lines)).instance(UUID)

    async def test_another_interface_is_used_if_the_first_is_not_in_the_catalogue(self):
        self.assertEqual(UUID, (await self.asked_with("valid_interfaces = admin,internal")).uuid)
        with self.assertRaisesRegex(NovaUnreachableError, "endpoint"):
            await self.asked_with("valid_interfaces = admin,public")

    async def test_the_region_of_the_endpoint(self):
        with self.assertRaisesRegex(NovaUnreachableError, "in RegionTwo region not found"):
            await self.asked_with("region_name = RegionTwo")

    async def test_an_endpoint_beside_the_catalogue(self):
        base = self.url.removesuffix("/v3")
        lines = ("region_name = RegionTwo", f"endpoint_override = {base}/compute/v2.1")
        self.assertEqual(UUID, (await self.asked_with(*lines)).uuid)

    async def test_options_that_exclude_each_other(self):
        with self.assertRaisesRegex(NovaUnreachableError, r"\[nova\] version excludes min_version"):
            await self.asked_with("version = 2.1", "min_version = 2.1")

    async def test_unknown_instance(self):
        with self.assertRaisesRegex(UnknownInstanceError, "no instance nobody"):
            await self.nova.instance("nobody")
        self.assertEqual(1, len(self.state["asked"]))  # asked once: no use trying again

    async def test_passing_error_is_tried_again(self):
        self.state["failures"] = [500, 503]
        self.assertEqual(UUID, (await self.nova.instance(UUID)).uuid)

    async def test_lasting_error(self):
        self.state["failures"] = [500] * 9
        with self.assertRaises(NovaUnreachableError):
            await self.nova.instance(UUID)

    async def test_a_page_of_all_instances(self):
        cell_down = {"id": "unknown", "status": "UNKNOWN"}
        deleting = {**SERVER, "id": "deleting", "OS-EXT-STS:task_state": "deleting"}
        self.state["servers"] = [SERVER, deleting, cell_down]
        found, after = await self.nova.page(None)
        self.assertEqual(("10.0.0.5", [UUID]), (found[UUID].address(None), list(found)))
        self.assertEqual("unknown", after)
        self.assertEqual(({}, None), await self.nova.page(after))
        (_, first, version), (_, second, _) = self.state["asked"][-2:]
        self.assertEqual({"all_tenants": "1", "limit": "1000"}, first)
        self.assertEqual(("unknown", "2.80"), (second["marker"], version))

    async def test_an_account_that_may_not_list_asks_no_second_time(self):
        self.state["failures"] = [403]
        with self.assertLogs("nova_cachemig.agent.nova", "WARNING") as logs:
            self.assertEqual(({}, None), await self.nova.page(None))
        self.assertIn("GET /v2.1/servers/detail", logs.output[0])
        asked = len(self.state["asked"])
        self.assertEqual(({}, None), await self.nova.page(None))
        self.assertEqual(asked, len(self.state["asked"]))

    async def test_a_marker_that_is_deleted_begins_again(self):
        self.state["failures"] = [400]
        self.assertEqual(({}, None), await self.nova.page("deleted"))
        found, _ = await self.nova.page(None)
        self.assertIn(UUID, found)

    async def test_a_nova_that_is_down_gives_no_page(self):
        self.state["failures"] = [503] * 9
        with self.assertRaises(NovaUnreachableError):
            await self.nova.page(None)

    async def test_migration_of_this_handover(self):
        now = time.time()
        self.state["migrations"] = [
            migration(4, "completed", now), migration(3, "error", now - 9000),
        ]  # fmt: skip
        self.assertIs(MigrationState.COMPLETED, await self.nova.migration_state(UUID, 20.0))
        _, query, _ = next(row for row in self.state["asked"] if "os-migrations" in row[0])
        self.assertEqual(
            (UUID, "live-migration"), (query["instance_uuid"], query["migration_type"])
        )

    async def test_migration_that_ended_before(self):
        now = time.time()
        self.state["migrations"] = [migration(4, "completed", now - 3600)]
        self.assertIs(MigrationState.UNKNOWN, await self.nova.migration_state(UUID, 0.0))

    async def test_clocks_of_nova_that_are_ten_minutes_off(self):
        for off in (-600.0, 600.0):
            self.state["clock"] = time.time() + off
            for changed, lasts, expected in (
                (off - 5.0, 20.0, MigrationState.COMPLETED),
                (off - 600.0, 20.0, MigrationState.UNKNOWN),  # it ended before the handover
                (off - 600.0, 90.0, MigrationState.COMPLETED),  # and no other one has begun
            ):
                with self.subTest(off=off, changed=changed, lasts=lasts):
                    updated = time.time() + changed
                    self.state["migrations"] = [migration(4, "completed", updated)]
                    state = await self.nova.migration_state(UUID, lasts)
                    self.assertIs(expected, state)

    async def test_migration_that_was_queued_long_ago_and_runs(self):
        now = time.time()
        self.state["migrations"] = [migration(4, "running", now - 3600)]
        self.assertIs(MigrationState.RUNNING, await self.nova.migration_state(UUID, 0.0))

    async def test_nova_that_does_not_respond(self):
        self.state["stall"].set()
        with unittest.mock.patch.object(nova_module, "_TIMEOUT", 0.2):
            with self.assertRaises(NovaUnreachableError):
                await self.nova.instance(UUID)
            self.assertIs(MigrationState.UNKNOWN, await self.nova.migration_state(UUID, 0.0))

    async def test_no_server_and_no_account(self):
        for conf in (
            self.account("http://127.0.0.1:9/v3"),
            self.configured(),
            self.configured("auth_type = no-such-plugin"),
            self.configured("auth_type = password"),
        ):
            nova = NovaApi(conf)
            with self.assertRaises(NovaUnreachableError):
                await nova.instance(UUID)
            self.assertIs(MigrationState.UNKNOWN, await nova.migration_state(UUID, 0.0))
