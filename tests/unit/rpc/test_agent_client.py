import os
import threading
import unittest
from typing import Any
from unittest import mock

import oslo_messaging

from nova_cachemig.rpc import agent, bus
from nova_cachemig.rpc.agent_client import AgentClient, takes_changes
from nova_cachemig.rpc.client import UnreachableError
from tests.unit.rpc.endpoints import OnFakeBus, new_conf


class Paging(OnFakeBus):
    def test_services_come_in_pages_and_to_a_client_of_1_0_all_at_once(self) -> None:
        self.serve()
        number = agent.SERVICES_PAGE * 2
        self.endpoint.found = [{"name": f"s{n:06}"} for n in range(number)]
        client = self.client()
        self.assertEqual(self.endpoint.found, client.services({}))
        self.assertEqual(number, len(client._rpc.call("services", {})))
        page = client._rpc.call("services", {"after": "s000000"}, version="1.1")
        self.assertEqual(agent.SERVICES_PAGE, len(page))
        self.assertEqual("s000001", page[0]["name"])

    def test_no_services_are_no_page(self) -> None:
        self.serve()
        self.endpoint.found = []
        self.assertEqual([], self.client().services({}))

    def test_an_agent_of_1_0_has_a_state_instead_of_a_phase(self) -> None:
        class Dispatch10(agent.Dispatch):
            target = oslo_messaging.Target(version="1.0")

            def services(self, ctxt: bus.Context) -> list[dict[str, Any]]:  # type: ignore[override]
                return [{"name": "shop", "state": "pass", "error": None}]

        with mock.patch.object(agent, "Dispatch", Dispatch10):
            self.serve()
        found = self.client().services({})
        self.assertEqual([{"name": "shop", "phase": "pass", "error": None}], found)

    def test_the_agent_of_another_name_is_not_asked(self) -> None:
        self.serve()
        self.assertEqual("cache1", self.client(host="cache1").ping({})["host"])
        with self.assertRaisesRegex(UnreachableError, "ping"):
            self.client(host="cache2", rpc_timeout=0.3).ping({})


class Lazy(OnFakeBus):
    def test_nothing_is_opened_before_the_first_message(self) -> None:
        before = threading.active_count()
        client = self.client()
        self.assertIsNone(client._rpc._transport)
        self.assertEqual(before, threading.active_count())

    def test_after_a_fork_the_child_has_a_connection_and_threads_of_its_own(self) -> None:
        self.serve()
        client = self.client()
        self.assertTrue(client.begin({}, "uuid-1", "req-1", "a", "b", 1.0).delivered(5))
        of_parent = client._rpc._transport
        pid = os.fork()
        if pid == 0:  # the fake bus does not reach over: no server listens here
            try:
                cast = client.begin({}, "uuid-1", "req-2", "a", "b", 2.0)
                ok = cast.delivered(5) and client._rpc._transport is not of_parent
            except BaseException:
                ok = False
            os._exit(0 if ok else 1)
        self.assertEqual(0, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
        self.assertIs(of_parent, client._rpc._transport)


class Secrets(unittest.TestCase):
    def test_the_error_of_an_unreachable_bus_names_no_password(self) -> None:
        client = AgentClient(
            new_conf(), "t", transport_url="rabbit://me:secret@127.0.0.1:1/", rpc_timeout=0.5
        )
        self.addCleanup(client.close)
        errors: list[Any] = []
        cast = client.begin({}, "uuid-1", "req-1", "a", "b", 1.0)
        cast.delivered(10)
        errors.append(cast.error)
        with self.assertRaises(UnreachableError) as caught:
            client.ping({})
        errors.append(caught.exception)
        self.assertTrue(all(errors), errors)
        self.assertNotIn("secret", str(errors))


class Changes(unittest.TestCase):
    def test_agents_since_1_3_take_them(self) -> None:
        for version, taken in (("1.2", False), ("1.3", True), ("1.10", True), ("2.0", False)):
            with self.subTest(version):
                self.assertEqual(taken, takes_changes({"rpc_version": version}))
        self.assertFalse(takes_changes({}))
