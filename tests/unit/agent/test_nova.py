"""The data that the agent reads from Nova's responses; a fake client replaces HTTP."""

import threading
import unittest

import novaclient.exceptions

from nova_cachemig.agent.instance import UnknownInstanceError
from nova_cachemig.agent.nova import NovaApi
from nova_cachemig.agent.ports import (
    GoneError,
    MigrationState,
    NovaUnreachableError,
)


class Server:
    id = "uuid"
    addresses = {
        "b": [
            {
                "addr": "10.0.1.9",
                "version": 4,
                "OS-EXT-IPS:type": "fixed",
                "OS-EXT-IPS-MAC:mac_addr": "fa:16:3e:00:00:01",
            }
        ],
        "a": [
            {"addr": "2001:DB8::05", "version": 6, "OS-EXT-IPS:type": "fixed"},
            {"addr": "203.0.113.5", "version": 4, "OS-EXT-IPS:type": "floating"},
            {"addr": "10.0.0.5", "version": 4, "OS-EXT-IPS:type": "fixed"},
        ],
    }


def migration(number, status, updated_at=None):
    return {"id": number, "status": status, "updated_at": updated_at}


class Response:
    def __init__(self, date):
        self.headers = {} if date is None else {"Date": date}


class Client:
    """novaclient, as far as it is used."""

    def __init__(self):
        self.found = []
        self.date = None
        self.error = None
        self.missing = None  # the error for an instance
        self.status = "ACTIVE"
        self.task = None
        self.servers = self.client = self

    def get(self, what):
        self.thread = threading.current_thread()
        if self.error:
            raise self.error
        if what.startswith("/os-migrations?"):
            return Response(self.date), {"migrations": self.found}
        if self.missing:
            raise self.missing
        server = Server()
        server.status = self.status
        setattr(server, "OS-EXT-STS:task_state", self.task)
        return server


class NovaApiTest(unittest.IsolatedAsyncioTestCase):
    def setUp(self):
        self.client = Client()
        self.nova = NovaApi(None)
        self.nova._client = self.client

    async def test_only_the_wanted_instances_are_remembered(self):
        await self.nova.instance("uuid")
        self.client.missing = novaclient.exceptions.NotFound(404)
        with self.assertRaises(GoneError):
            await self.nova.instance("uuid")
        self.nova.keep({"other"})
        with self.assertRaises(UnknownInstanceError):
            await self.nova.instance("uuid")
        self.assertEqual(set(), self.nova._seen)

    async def test_a_question_without_a_response_delays_neither_the_stop_nor_the_disk(self):
        await self.nova.instance("uuid")
        self.assertTrue(self.client.thread.daemon)
        self.assertEqual("nova", self.client.thread.name)

    async def test_an_unknown_instance(self):
        self.client.error = novaclient.exceptions.NotFound(404)
        with self.assertRaises(UnknownInstanceError):
            await self.nova.instance("uuid")

    async def test_an_instance_that_is_or_becomes_deleted_is_gone(self):
        for status, task in (
            ("DELETED", None),
            ("SOFT_DELETED", None),
            ("ACTIVE", "deleting"),
            ("ACTIVE", "soft-deleting"),
        ):
            self.client.status, self.client.task = status, task
            with self.subTest(status=status, task=task), self.assertRaises(GoneError):
                await self.nova.instance("uuid")
        self.client.status, self.client.task = "ACTIVE", "migrating"
        await self.nova.instance("uuid")

    async def test_an_instance_that_nova_has_shown_and_has_no_more_is_gone(self):
        await self.nova.instance("uuid")
        self.client.error = novaclient.exceptions.NotFound(404)
        with self.assertRaisesRegex(GoneError, "Nova has instance uuid no more"):
            await self.nova.instance("uuid")
        with self.assertRaises(UnknownInstanceError):
            await self.nova.instance("other")

    async def test_a_refused_account(self):
        self.client.error = novaclient.exceptions.Forbidden(403)
        with self.assertRaises(NovaUnreachableError):
            await self.nova.instance("uuid")
        self.assertIs(MigrationState.UNKNOWN, await self.nova.migration_state("uuid", 0.0))

    async def test_the_newest_migration_counts(self):
        for status, state in {
            "completed": MigrationState.COMPLETED,
            "error": MigrationState.FAILED,
            "cancelled": MigrationState.FAILED,
            "running": MigrationState.RUNNING,
            "running post-copy": MigrationState.RUNNING,
            "something new": MigrationState.UNKNOWN,
        }.items():
            with self.subTest(status=status):
                self.client.found = [
                    migration(9, status),
                    migration("10", status),
                    migration(2, "x"),
                ]
                self.assertIs(state, await self.nova.migration_state("uuid", 0.0))

    async def test_an_instance_is_deleted_if_nova_no_longer_shows_it(self):
        missing = novaclient.exceptions.NotFound(404)
        for status in ("running", "completed", "error"):
            with self.subTest(status=status):
                self.client.found = [migration(9, status)]
                self.client.missing = missing
                found = await self.nova.migration_state("uuid", 100.0)
                self.assertIs(MigrationState.DELETED, found)
        self.client.found = []
        self.assertIs(MigrationState.UNKNOWN, await self.nova.migration_state("uuid", 100.0))
        self.client.missing = None
        await self.nova.instance("uuid")
        self.client.missing = missing
        self.assertIs(MigrationState.DELETED, await self.nova.migration_state("uuid", 100.0))

    async def test_an_instance_that_may_be_restored_is_deleted(self):
        self.client.found = [migration(9, "running")]
        for status in ("SOFT_DELETED", "DELETED"):
            self.client.status = status
            self.assertIs(MigrationState.DELETED, await self.nova.migration_state("uuid", 100.0))

    async def test_an_instance_is_not_deleted_because_nova_does_not_respond(self):
        self.client.found = [migration(9, "running")]
        self.client.missing = novaclient.exceptions.Forbidden(403)
        self.assertIs(MigrationState.RUNNING, await self.nova.migration_state("uuid", 100.0))

    async def test_no_migration(self):
        self.assertIs(MigrationState.UNKNOWN, await self.nova.migration_state("uuid", 0.0))
