import unittest

from nova_cachemig.conf import opts
from nova_cachemig.doctor.verdicts.options import _RENAMED, _REPLACED, stale


class OptionsTest(unittest.TestCase):
    def test_stale_options_are_found_in_either_spelling(self) -> None:
        found = stale(
            {
                "journal": ["settle", "min_free"],
                "telemetry": ["notification-pool", "notification_pool"],
                "engine": ["max_object"],
            }
        )
        self.assertEqual(
            ["[journal] settle", "[telemetry] notification_pool", "[engine] max_object"],
            [str(option) for option in found],
        )
        self.assertEqual([False, True, False], [option.removed for option in found])
        self.assertEqual("rename it to resume_delay", found[0].advice)

    def test_present_options_are_not_stale(self) -> None:
        groups: dict[str, list[str]] = {}
        for in_nova in (True, False):
            for module in opts.modules(in_nova=in_nova):
                for group, options in module.list_opts():
                    groups.setdefault(group.name, []).extend(o.dest for o in options)
        self.assertEqual(["[engine] max_object"], [str(option) for option in stale(groups)])

    def test_every_deprecated_option_is_known(self) -> None:
        former = set()
        for in_nova in (True, False):
            for module in opts.modules(in_nova=in_nova):
                for group, options in module.list_opts():
                    for option in options:
                        names = {d.name for d in option.deprecated_opts if d.name}
                        names |= {option.dest} if option.deprecated_for_removal else set()
                        former |= {(group.name, name.replace("-", "_")) for name in names}
        known = {*_RENAMED, *_REPLACED}
        # Most options of these groups are keystoneauth1's: there is advice on some of them only.
        ours = {key for key in former if key[0] not in {"nova", "gnocchi"} or key in known}
        self.assertEqual(known, ours)


if __name__ == "__main__":
    unittest.main()
