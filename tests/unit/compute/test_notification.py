import unittest
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from nova_cachemig.compute import notification
from nova_cachemig.compute.notification import (
    MigrationEvent,
    NotUnderstoodError,
)
from nova_cachemig.model.event import EventKind


def versioned(event: str, **changes: Any) -> dict[str, Any]:
    """As Nova 34 publishes it, shortened."""
    data = {"uuid": "uuid-1", "host": "a.example.org", "request_id": "req-1", "state": "active"}
    return {
        "publisher_id": "nova-compute:b.example.org",
        "event_type": event,
        "priority": "INFO",
        "payload": {
            "nova_object.name": "InstanceActionPayload",
            "nova_object.version": "1.9",
            "nova_object.data": data | changes,
        },
    }


def unversioned(event: str) -> dict[str, Any]:
    """As Nova 34 publishes it, shortened."""
    return {
        "publisher_id": "compute.b.example.org",
        "event_type": event,
        "priority": "INFO",
        "payload": {"instance_id": "uuid-1", "host": "a.example.org", "state": "active"},
    }


class Formats(unittest.TestCase):
    def expected(self, kind: EventKind, name: str) -> MigrationEvent:
        return MigrationEvent(kind, "uuid-1", "req-1", "b.example.org", "a.example.org", name)

    def test_the_versioned_one(self) -> None:
        name = "instance.live_migration_pre.start"
        read = notification.read({}, versioned(name))
        self.assertEqual(self.expected(EventKind.BEGIN, name), read)

    def test_the_unversioned_one_has_its_request_in_the_context(self) -> None:
        name = "compute.instance.live_migration._rollback.end"
        read = notification.read({"request_id": "req-1"}, unversioned(name))
        self.assertEqual(self.expected(EventKind.ROLLED_BACK, name), read)

    def test_a_payload_without_request_falls_back_on_the_context(self) -> None:
        message = versioned("instance.live_migration_pre.end", request_id=None)
        self.assertEqual("req-2", notification.read({"request_id": "req-2"}, message).request)

    def test_both_formats_give_the_same_events(self) -> None:
        self.assertEqual(
            sorted(kind.value for kind in notification._VERSIONED.values()),
            sorted(kind.value for kind in notification._UNVERSIONED.values()),
        )

    def test_a_format_is_not_mistaken_for_the_other(self) -> None:
        name = "instance.live_migration_pre.end"
        self.assertTrue(notification.is_relevant(name, versioned=True))
        self.assertFalse(notification.is_relevant(name, versioned=False))
        self.assertFalse(notification.is_relevant(None, versioned=True))

    def test_nova_knows_these_names(self) -> None:
        from nova import rpc
        from nova.objects import fields

        legacy = rpc.LegacyValidatingNotifier.allowed_legacy_notification_event_types
        self.assertLessEqual(set(notification._UNVERSIONED), set(legacy))
        for name in notification._VERSIONED:
            _object, action, phase = name.split(".")
            self.assertIn(action, fields.NotificationAction.ALL)
            self.assertIn(phase, fields.NotificationPhase.ALL)


class Malformed(unittest.TestCase):
    def refuse(self, message: dict[str, Any], ctxt: dict[str, Any] | None = None) -> None:
        with self.assertRaises(NotUnderstoodError):
            notification.read(ctxt or {}, message)

    def test_what_lacks_something_is_refused(self) -> None:
        name = "instance.live_migration_pre.start"
        self.refuse(versioned(name, uuid=None))
        self.refuse(versioned(name, request_id=None))
        self.refuse(versioned(name) | {"publisher_id": "nova-compute"})
        self.refuse(versioned(name) | {"payload": None})
        self.refuse({"event_type": name})
        self.refuse(versioned("compute.instance.create.end"))
        self.refuse({})

    @given(
        st.recursive(
            st.none() | st.text() | st.integers(),
            lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        ),
        st.sampled_from([*notification._VERSIONED, *notification._UNVERSIONED]),
    )
    def test_whatever_the_payload_is_nothing_else_is_raised(self, junk: Any, name: str) -> None:
        self.refuse({"event_type": name, "publisher_id": "compute.b", "payload": junk})
