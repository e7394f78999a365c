import unittest

from hypothesis import given
from hypothesis import strategies as st

from nova_cachemig.compute import change
from nova_cachemig.compute.change import ChangeNotice
from nova_cachemig.compute.notification import NotUnderstoodError
from nova_cachemig.model.change import InstanceChange
from tests.unit.compute.test_notification import unversioned, versioned

JUNK = st.recursive(
    st.none() | st.integers() | st.text(),
    lambda inner: st.dictionaries(
        st.sampled_from(["payload", "nova_object.data", "uuid", "instance_id"]), inner
    ),
)


class ChangeTest(unittest.TestCase):
    def test_both_formats(self) -> None:
        for message, kind in (
            (versioned("instance.delete.start"), InstanceChange.DELETED),
            (versioned("instance.interface_detach.end"), InstanceChange.DETACHED),
            (versioned("instance.interface_attach.end"), InstanceChange.CHANGED),
            (unversioned("compute.instance.soft_delete.end"), InstanceChange.DELETED),
        ):
            with self.subTest(message["event_type"]):
                is_versioned = "nova_object.data" in message["payload"]
                name = message["event_type"]
                self.assertTrue(change.is_relevant(name, versioned=is_versioned))
                self.assertFalse(change.is_relevant(name, versioned=not is_versioned))
                expected = ChangeNotice(kind, "uuid-1", "req-1")
                self.assertEqual(expected, change.read({"request_id": "req-1"}, message))

    def test_a_deletion_by_nova_itself_has_no_request(self) -> None:
        self.assertEqual("", change.read({}, versioned("instance.delete.end")).request)

    def test_nova_knows_these_names(self) -> None:
        from nova import rpc
        from nova.objects import fields

        legacy = rpc.LegacyValidatingNotifier.allowed_legacy_notification_event_types
        self.assertLessEqual(set(change._UNVERSIONED), set(legacy))
        for name in change._VERSIONED:
            _object, action, phase = name.split(".")
            self.assertIn(action, fields.NotificationAction.ALL)
            self.assertIn(phase, fields.NotificationPhase.ALL)

    @given(JUNK, st.sampled_from(["instance.delete.end", "compute.instance.delete.end", "x"]))
    def test_what_is_not_understood_is_one_error(self, payload: object, name: str) -> None:
        try:
            read = change.read({}, {"event_type": name, "payload": payload})
        except NotUnderstoodError:
            return
        self.assertTrue(read.instance)
