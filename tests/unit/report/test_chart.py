from __future__ import annotations

import unittest
import xml.etree.ElementTree as ET

from nova_cachemig.report.blackout import Blackout
from nova_cachemig.report.chart import View, chart, kind
from tests.unit.report import makers

GAP = Blackout(2.0, 3.0)
VIEW = View(start=-1, end=3, slowest=5, width=640, height=380, detail=True)


def texts(svg: str) -> list[str]:
    return [node.text or "" for node in ET.fromstring(svg).iter("text")]


class ChartTest(unittest.TestCase):
    def test_kinds(self) -> None:
        kinds = {
            "failed": makers.read(2.1, failed=True, hit=True),
            "hit": makers.read(2.1, hit=True),
            "write": makers.write(2.1),
            "held": makers.read(1.9, 1.2),
            "read": makers.read(3.1),
        }
        for name, request in kinds.items():
            self.assertEqual(name, kind(request, [GAP]))

    def test_dots_of_one_place_are_one(self) -> None:
        run = makers.run([makers.read(1.5, 0.01)] * 9 + [makers.read(2.5, 0.6)])
        root = ET.fromstring(chart(run, [GAP], VIEW, 2.0, 1))
        drawn = {p.get("class"): p.get("d", "").count("M") for p in root.iter("path")}
        self.assertEqual((1, 1), (drawn["dot read"], drawn["dot held"]))

    def test_what_lies_outside_is_not_drawn(self) -> None:
        svg = chart(makers.run([makers.read(0.5), makers.read(9.0)]), [GAP], VIEW, 2.0, 1)
        self.assertNotIn('class="dot', svg)

    def test_labels_phases_and_escapes(self) -> None:
        phases = {"migrate": 1.2, "armed": 1.5, "shielded": 2.0, "released": 3.2, "a<b": 4.0}
        run = makers.run([makers.write(2.1, 0.9)], case="<&>", phases=phases)
        shown = texts(chart(run, [GAP], VIEW, 2.0, 1))
        for label in ("guest silent 1.00 s", "armed", "shielded", "released", "Nova migrates"):
            self.assertIn(label, shown)
        self.assertIn("a<b", shown)

    def test_the_whole_run_has_no_strip(self) -> None:
        view = View(-2, 8, 5, 640, 190, detail=False)
        shown = texts(chart(makers.run([makers.write(2.1, 0.9)]), [GAP], view, 2.0, 1))
        self.assertNotIn("writes waiting", shown)
