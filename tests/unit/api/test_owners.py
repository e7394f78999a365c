"""The owners of instances: asked once, in pages where many are missing, and never guessed."""

from __future__ import annotations

import unittest
from collections.abc import Callable, Mapping
from typing import Any
from unittest import mock

import keystoneauth1.exceptions

from nova_cachemig.api import owners
from nova_cachemig.api.errors import ApiError
from tests.unit.api.case import RED, new_conf


class Response:
    def __init__(self, status: int, document: Any = None) -> None:
        self.status_code = status
        self._document = document

    def json(self) -> Any:
        return self._document


class FakeNova:
    """The adapter of keystoneauth1."""

    def __init__(self) -> None:
        self.servers: dict[str, str] = {}
        self.asked: list[str] = []
        self.status = 200
        self.lists = True
        self.takes = 0.0
        self.wait: Callable[[float], None] = lambda _: None
        self.error: Exception | None = None

    def get(self, path: str, params: Mapping[str, Any], **_: Any) -> Response:
        self.asked.append(path)
        self.wait(self.takes)
        if self.error is not None:
            raise self.error
        if path == "/servers/detail":
            if not self.lists:
                return Response(403)
            names = sorted(n for n in self.servers if n > params.get("marker", ""))[:3]
            rows = [{"id": name, "tenant_id": self.servers[name]} for name in names]
            return Response(200, {"servers": rows})
        found = self.servers.get(path.rpartition("/")[2])
        if self.status != 200 or found is None:
            return Response(404 if self.status == 200 else self.status)
        return Response(200, {"server": {"tenant_id": found}})


class OwnersTest(unittest.TestCase):
    def setUp(self) -> None:
        self.now = 1000.0
        self.nova = FakeNova()
        self.nova.wait = self.pass_time
        self.owners = owners.NovaOwners(new_conf(), lambda: self.now)
        patch = mock.patch.object(owners.NovaOwners, "_nova", lambda _: self.nova)
        patch.start()
        self.addCleanup(patch.stop)

    def pass_time(self, seconds: float) -> None:
        self.now += seconds

    def of(self, *instances: str, needed: bool = True) -> Mapping[str, str | None]:
        return self.owners.of(set(instances), needed=needed)

    def test_an_owner_is_asked_for_once(self) -> None:
        self.nova.servers["a"] = RED
        self.assertEqual({"a": RED}, self.of("a"))
        self.nova.error = keystoneauth1.exceptions.ConnectFailure()
        self.assertEqual({"a": RED}, self.of("a"))
        self.assertEqual(["/servers/a"], self.nova.asked)

    def test_an_instance_without_a_name_has_no_owner(self) -> None:
        self.assertEqual({"": None}, self.of(""))
        self.assertEqual([], self.nova.asked)

    def test_many_are_found_in_pages(self) -> None:
        self.nova.servers = {f"i{n:02}": RED for n in range(30)}
        self.assertEqual(self.nova.servers, self.of(*self.nova.servers))
        self.assertEqual({"/servers/detail"}, set(self.nova.asked))

    def test_where_the_time_ends_the_next_request_goes_on(self) -> None:
        self.nova.servers = {f"i{n:02}": RED for n in range(30)}
        self.nova.takes = 3.0
        self.enterContext(mock.patch.object(owners, "_ALONE", 0))
        for expected in (3, 6, 9):
            with self.assertRaises(ApiError):
                self.of(*self.nova.servers)
            self.assertEqual(expected, len(self.nova.asked))
        self.assertEqual(self.nova.servers, self.of(*self.nova.servers))

    def test_the_pages_are_not_read_again_soon_for_many_deleted_instances(self) -> None:
        gone = [f"gone{n:02}" for n in range(30)]
        self.assertEqual(dict.fromkeys(gone), self.of(*gone))
        self.nova.asked.clear()
        self.assertEqual(dict.fromkeys(gone), self.of(*gone))
        self.of(*(f"new{n:02}" for n in range(30)))
        self.assertNotIn("/servers/detail", self.nova.asked)

    def test_each_alone_where_the_account_may_not_list(self) -> None:
        self.nova.lists = False
        self.nova.servers = {f"i{n:02}": RED for n in range(30)}
        self.assertEqual(self.nova.servers, self.of(*self.nova.servers))

    def test_an_unknown_instance_is_asked_for_again_after_some_minutes(self) -> None:
        self.assertEqual({"a": None}, self.of("a"))
        self.nova.servers["a"] = RED
        self.assertEqual({"a": None}, self.of("a"))
        self.now += 600
        self.assertEqual({"a": RED}, self.of("a"))

    def test_while_nova_is_away_nothing_is_guessed(self) -> None:
        for fault in (keystoneauth1.exceptions.ConnectFailure(), None):
            self.now += 10
            self.nova.error, self.nova.status = fault, 500
            with self.subTest(fault), self.assertRaises(ApiError) as caught:
                self.of("a")
            self.assertEqual(503, caught.exception.status)
        self.assertEqual({"a": None}, self.of("a", needed=False))

    def test_it_is_not_asked_again_in_the_second_after_a_failure(self) -> None:
        self.nova.error = keystoneauth1.exceptions.ConnectFailure()
        self.of("a", needed=False)
        self.of("a", needed=False)
        self.assertEqual(1, len(self.nova.asked))
        self.now += 1
        self.of("a", needed=False)
        self.assertEqual(2, len(self.nova.asked))

    def test_the_options_of_the_endpoint(self) -> None:
        conf = new_conf()
        conf.set_override("auth_type", "none", "nova")
        conf.set_override("region_name", "RegionTwo", "nova")
        conf.set_override("endpoint_override", "http://nova.example.org/v2.1", "nova")
        mock.patch.stopall()
        made = owners.NovaOwners(conf)._nova()
        self.assertEqual(["internal", "public"], made.interface)
        self.assertEqual(("compute", "RegionTwo"), (made.service_type, made.region_name))
        self.assertEqual("http://nova.example.org/v2.1", made.endpoint_override)
        self.assertEqual(5.0, made.session.timeout)

    def test_the_number_of_kept_owners_is_bounded(self) -> None:
        self.nova.servers = {"a": RED, "b": RED}
        with mock.patch.object(owners, "_MOST", 0):
            self.of("a")
            self.of("b")
            self.of("a")
        self.assertEqual(3, len(self.nova.asked))
