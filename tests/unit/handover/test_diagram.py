import re
import unittest

from nova_cachemig.handover.diagram import graphviz
from nova_cachemig.handover.table import TABLE
from nova_cachemig.model.event import EventKind
from nova_cachemig.model.phase import Phase


class DiagramTest(unittest.TestCase):
    def setUp(self) -> None:
        found = re.findall(r"^  (\w+) -> (\w+) \[label=\"(.*)\"\];$", graphviz(), re.MULTILINE)
        self.edges = {(start, end): set(label.split("\\n")) for start, end, label in found}

    def test_every_phase_is_a_node(self) -> None:
        for phase in Phase:
            self.assertIn(f"  {phase.value};\n", graphviz())

    def test_every_change_of_phase_is_an_edge_with_its_event(self) -> None:
        for phase, rows in TABLE.items():
            for kind, row in rows.items():
                if row.then is not None and row.then is not phase:
                    self.assertIn(kind.value, self.edges[phase.value, row.then.value])

    def test_a_guarded_row_has_both_edges(self) -> None:
        self.assertIn(EventKind.REARMED.value, self.edges["replaying", "armed"])
        self.assertIn(EventKind.RELEASE_DONE.value, self.edges["replaying", "released"])

    def test_it_shows_the_unannounced_pause(self) -> None:
        self.assertIn(EventKind.UNANNOUNCED.value, self.edges["idle", "shielded"])
