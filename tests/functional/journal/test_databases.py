"""The journal over PostgreSQL and MariaDB, also while they are restarted."""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
import unittest
from unittest import mock

import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from nova_cachemig.agent.journal import database, migrate, owner, queries
from nova_cachemig.agent.journal.committer import Committer, Result, WriterCounts
from nova_cachemig.agent.journal.errors import JournalError, JournalLocked, NotAccepted
from nova_cachemig.agent.journal.failpoints import Failpoints
from nova_cachemig.agent.journal.record import to_row
from nova_cachemig.agent.journal.schema import METADATA
from nova_cachemig.agent.journal.statements import Append
from nova_cachemig.agent.writes import Writes
from nova_cachemig.model.service import Target, WriteMode
from nova_cachemig.model.write import AcceptedWrite, Body, WriteState
from tests.crashing.run import Plan, execute
from tests.functional.journal.proxy import CUTS, CuttingProxy
from tests.functional.journal.servers import MariaDB, PostgreSQL, Server
from tests.functional.replay.guest import LoggingGuest
from tests.functional.replay.path import client, conf_for, service
from tests.unit.agent.journal import former


class MigrationCase:
    """The alembic revisions make the tables of ``schema.py``."""

    url: str

    def test_tables_are_as_the_schema_says(self) -> None:
        engine = database.create_engine(self.url)
        migrate.upgrade(engine)
        migrate.upgrade(engine)
        with engine.connect() as connection:
            # MySQL's types come back under other names
            types = connection.dialect.name not in {"mysql", "mariadb"}
            context = MigrationContext.configure(connection, opts={"compare_type": types})
            self.assertEqual([], compare_metadata(context, METADATA))
        engine.dispose()

    def test_tables_of_a_newer_version_are_left_alone(self) -> None:
        engine = database.create_engine(self.url)
        migrate.upgrade(engine)
        with engine.begin() as connection:
            connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
        try:
            with self.assertRaisesRegex(JournalError, "version"):
                migrate.upgrade(engine)
        finally:
            with engine.begin() as connection:
                connection.execute(
                    sa.text(f"UPDATE alembic_version SET version_num = '{migrate.HEAD}'")
                )
            engine.dispose()

    def test_former_tables_are_upgraded_with_their_rows(self) -> None:
        engine = database.create_engine(self.url)
        self.addCleanup(engine.dispose)
        with engine.begin() as connection:
            METADATA.drop_all(connection)
            connection.execute(sa.text("DROP TABLE IF EXISTS alembic_version"))
        former.make(engine)
        migrate.upgrade(engine)
        with engine.connect() as connection:
            found = queries.find(connection, "shop", 2)
        assert found is not None
        self.assertEqual((WriteState.RESPONDED, former.RESPONSE), (found.state, found.response))


class DeadlineCase:
    """The deadline of a handover leaves what is not applied to the operator."""

    url: str

    def test_what_waits_at_the_deadline_is_quarantined(self) -> None:
        asyncio.run(self.giving_up())

    async def giving_up(self) -> None:
        with tempfile.TemporaryDirectory() as directory:
            writes = Writes(conf_for(directory, connection=self.url))
            await writes.start()
            for name in ("shop", "forum"):
                await writes.open(service(name, writes=WriteMode.ACCEPT))
                async with client(writes.intake_socket, name) as http:
                    for _ in range(3):
                        self.assertEqual(202, (await http.post("/", content=b"x")).status_code)
            await writes.give_up("shop")
            self.assertEqual({"forum": 3}, await writes.unfinished())
            await writes.stop()
            writes = Writes(conf_for(directory, connection=self.url))
            await writes.start()
            self.assertEqual({"forum": 3}, await writes.unfinished())
            self.assertEqual(3, (await writes.journal.queue_state("shop")).in_doubt)
            await writes.stop()


class SqliteTest(MigrationCase, DeadlineCase, unittest.TestCase):
    def setUp(self) -> None:
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.url = f"sqlite:///{directory.name}/journal.sqlite"


class ServerCase(MigrationCase, DeadlineCase):
    """One server for the whole class."""

    make: type[Server]
    server: Server

    @classmethod
    def setUpClass(cls) -> None:
        if (why := cls.make.missing()) is not None:
            raise RuntimeError(why)
        cls.server = cls.make()
        cls.url = cls.server.url

    @classmethod
    def tearDownClass(cls) -> None:
        cls.server.destroy()

    def setUp(self) -> None:
        engine = database.create_engine(self.url)
        migrate.upgrade(engine)
        with engine.begin() as connection:
            for table in METADATA.sorted_tables:
                connection.execute(sa.delete(table))
        engine.dispose()

    def test_kills(self) -> None:
        for honours_keys in (True, False):
            with self.subTest(honours_keys=honours_keys):
                self.setUp()
                plan = Plan(kills=5, writes=100, honours_keys=honours_keys,
                            seed=int(time.time()), connection=self.url)  # fmt: skip
                _, verdict = asyncio.run(execute(plan))
                self.assertEqual({}, verdict.faults, f"seed {plan.seed}")

    def test_a_rejected_write_is_not_shown_in_the_log(self) -> None:
        engine = database.create_engine(self.url)
        self.addCleanup(engine.dispose)
        results: list[Result] = []
        made = Committer(engine, Failpoints(), WriterCounts(), results.extend)
        self.addCleanup(made.disconnect)
        headers = (("cookie", "session=SECRET"), ("authorization", "Bearer SECRET"))
        body = Body.of(b"SECRET")
        write = AcceptedWrite("shop" * 100, 1, 1.0, "POST", "/", "h", headers, body, "c")
        with self.assertLogs(level="DEBUG") as logs:
            made.commit([Append(write, to_row(write))])
        self.assertIsInstance(results[0][1], NotAccepted)
        self.assertNotIn("SECRET", f"{logs.output} {results[0][1]} {results[0][1]!r}")

    def test_restarted_under_load(self) -> None:
        asyncio.run(self.restarted_under_load())

    async def restarted_under_load(self) -> None:
        guest = LoggingGuest()
        await guest.start()
        with tempfile.TemporaryDirectory() as directory:
            writes = Writes(conf_for(directory, connection=self.url))
            await writes.start()
            await writes.open(service())
            await writes.send_to("shop", Target("127.0.0.1", guest.port))
            responses: dict[str, int] = {}

            async def load(name: str) -> None:
                async with client(writes.intake_socket, who=name) as http:
                    for number in range(60):
                        body = f"{name}-{number}"
                        key = {"idempotency-key": f'"{body}"'} if name in {"c0", "c1"} else {}
                        response = await http.post("/", content=body.encode(), headers=key)
                        responses[body] = response.status_code
                        await asyncio.sleep(0.02)

            tasks = [asyncio.create_task(load(f"c{n}")) for n in range(4)]
            for hard in (False, True):
                await guest.took(len(guest.log) + 20)
                await asyncio.to_thread(self.server.stop, hard=hard)
                await asyncio.to_thread(self.server.start)
            await asyncio.gather(*tasks)
            await writes.drained("shop")
            await writes.stop()
        await guest.stop()
        taken = [body.decode() for body in guest.bodies()]
        accepted = {name for name, status in responses.items() if status == 200}
        refused = {name for name, status in responses.items() if status == 503}
        self.assertEqual(set(responses), accepted | refused)
        self.assertEqual(sorted(accepted), sorted(taken))
        for n in range(4):
            mine = [name for name in taken if name.startswith(f"c{n}-")]
            self.assertEqual(sorted(mine, key=lambda name: int(name.split("-")[1])), mine)

    def test_a_server_that_vanishes_is_noticed(self) -> None:
        engine = database.create_engine(self.url)
        self.addCleanup(engine.dispose)
        with engine.connect() as connection:
            driver = connection.connection.driver_connection
            assert driver is not None
            if engine.dialect.name == "postgresql":
                found = driver.info.dsn_parameters
                self.assertEqual("10000", found["tcp_user_timeout"])
                self.assertEqual("5", found["connect_timeout"])
            else:
                self.assertEqual((60, 60, 5), (
                    driver._read_timeout, driver._write_timeout, driver.connect_timeout
                ))  # fmt: skip

    def test_a_second_agent_does_not_start(self) -> None:
        asyncio.run(self.second_agent())

    async def second_agent(self) -> None:
        with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as other:
            first = Writes(conf_for(one, connection=self.url))
            await first.start()
            with (
                mock.patch.object(owner, "_PATIENCE", 0.1),
                self.assertRaisesRegex(JournalLocked, f"{one}, process {os.getpid()}"),
            ):
                await Writes(conf_for(other, connection=self.url)).start()
            await first.open(service())
            await first.stop()
            second = Writes(conf_for(other, connection=self.url))
            with self.assertNoLogs(owner.LOG, "WARNING"):  # the first one has released it
                await second.start()
            await second.stop()

    def test_an_agent_that_has_lost_its_database_stops(self) -> None:
        asyncio.run(self.loses_database())

    async def loses_database(self) -> None:
        guest = LoggingGuest()
        await guest.start()
        proxy = CuttingProxy(self.server.port, 1)
        self.addCleanup(proxy.stop)
        url = self.url.replace(f":{self.server.port}/", f":{proxy.port}/")
        with (
            tempfile.TemporaryDirectory() as one,
            tempfile.TemporaryDirectory() as other,
            mock.patch.object(owner, "_TAKEOVER", 0.5),
            mock.patch.object(owner, "_LEASE", 0.4),
            mock.patch.object(owner, "_BEAT", 0.1),
        ):
            first = Writes(conf_for(one, connection=url))
            await first.start()
            await first.open(service(writes=WriteMode.ACCEPT))
            async with client(first.intake_socket) as http:
                for number in range(20):
                    self.assertEqual(
                        202, (await http.post("/", content=b"%d" % number)).status_code
                    )
            proxy.isolate()
            second = Writes(conf_for(other, connection=self.url))
            await second.start()
            # The first one cannot know; but it has not heard from the database for a while.
            await first.send_to("shop", Target("127.0.0.1", guest.port))
            await asyncio.sleep(0.3)
            self.assertEqual([], guest.bodies())
            await second.open(service())
            await second.send_to("shop", Target("127.0.0.1", guest.port))
            await second.drained("shop")
            proxy.refusing.clear()
            async with asyncio.timeout(10):
                await first.journal.lost.wait()
            async with client(first.intake_socket) as http:
                self.assertEqual(503, (await http.post("/", content=b"late")).status_code)
            await first.stop()
            await second.stop()
        await guest.stop()
        self.assertEqual([b"%d" % number for number in range(20)], guest.bodies())

    def test_connections_that_break_in_commit(self) -> None:
        asyncio.run(self.breaking_commits())

    async def breaking_commits(self) -> None:
        """Accepted writes are applied once, refused ones never, also by the next agent."""
        guest = LoggingGuest()
        await guest.start()
        seed = int(time.time())
        proxy = CuttingProxy(self.server.port, seed)
        self.addCleanup(proxy.stop)
        url = self.url.replace(f":{self.server.port}/", f":{proxy.port}/")
        responses: dict[str, int] = {}
        with tempfile.TemporaryDirectory() as directory:
            writes = Writes(conf_for(directory, connection=url))
            await writes.start()
            await writes.open(service())
            await writes.send_to("shop", Target("127.0.0.1", guest.port))

            async def load(name: str, count: int) -> None:
                async with client(writes.intake_socket, who=name) as http:
                    for number in range(count):
                        body = f"{name}-{number}"
                        response = await http.post("/", content=body.encode())
                        responses[body] = response.status_code
                        if response.status_code == 504:
                            self.assertIn("/.well-known/", response.headers["location"])

            proxy.share = 0.3
            await asyncio.gather(*(load(f"c{n}", 25) for n in range(4)))
            # Now it stays away in the middle of a COMMIT: the outcome stays unknown. Without a
            # connection before, no COMMIT would begin, and the writes would be refused.
            proxy.share = 0.0
            await load("connected", 1)
            proxy.refusing.set()
            await asyncio.gather(*(load(f"late{n}", 1) for n in range(3)))
            proxy.refusing.clear()
            await load("last", 1)
            await writes.drained("shop")
            await writes.stop()
            writes = Writes(conf_for(directory, connection=self.url))
            await writes.start()
            await writes.open(service())
            await writes.send_to("shop", Target("127.0.0.1", guest.port))
            await writes.drained("shop")
            await writes.stop()
        await guest.stop()
        taken = [body.decode() for body in guest.bodies()]
        by_status = {
            status: {name for name, got in responses.items() if got == status}
            for status in (200, 503, 504)
        }
        told = f"seed {seed}; {responses}"
        self.assertEqual(set(responses), set().union(*by_status.values()), told)
        self.assertEqual(sorted(set(taken)), sorted(taken), told)
        self.assertEqual(set(), by_status[200] - set(taken), told)
        self.assertEqual(set(), by_status[503] & set(taken), told)
        self.assertGreaterEqual(len(by_status[200]), 90, told)
        self.assertEqual(200, responses["last-0"], told)
        late = {"late0-0", "late1-0", "late2-0"}
        self.assertLessEqual(late, by_status[503] | by_status[504], told)
        self.assertTrue(late & by_status[504], told)  # those in that COMMIT
        self.assertEqual(200, responses["connected-0"], told)
        self.assertEqual(set(CUTS), set(proxy.cuts), told)


class PostgreSQLTest(ServerCase, unittest.TestCase):
    make = PostgreSQL


class MariaDBTest(ServerCase, unittest.TestCase):
    make = MariaDB
