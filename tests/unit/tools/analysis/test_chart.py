from __future__ import annotations

import unittest
import xml.etree.ElementTree as ET

from tests.unit.tools.analysis import makers
from tools.measurement.analysis.blackout import Blackout
from tools.measurement.analysis.chart import Depth, View, chart, kind
from tools.measurement.analysis.depth import steps
from tools.measurement.analysis.outcome import Run

GAP = Blackout(2.0, 3.0)
VIEW = View(start=-1, end=3, slowest=5, width=640, height=380, strip=80, detail=True)


def picture(run: Run, view: View = VIEW, drained: float | None = None) -> str:
    return chart(run, [GAP], view, 2.0, Depth(steps(run.requests), 2, drained))


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
        root = ET.fromstring(picture(run))
        drawn = {p.get("class"): p.get("d", "").count("M") for p in root.iter("path")}
        self.assertEqual((1, 1), (drawn["dot read"], drawn["dot held"]))

    def test_what_lies_outside_is_not_drawn(self) -> None:
        svg = picture(makers.run([makers.read(0.5), makers.read(9.0)]))
        self.assertNotIn('class="dot', svg)

    def test_labels_phases_and_escapes(self) -> None:
        phases = {"migrate": 1.2, "armed": 1.5, "shielded": 2.0, "released": 3.2, "a<b": 4.0}
        run = makers.run([makers.write(2.1, 0.9)], case="<&>", phases=phases)
        shown = texts(picture(run))
        for label in ("guest silent 1.00 s", "armed", "shielded", "released", "Nova migrates"):
            self.assertIn(label, shown)
        self.assertIn("a<b", shown)

    def test_the_depth_is_drawn_below_on_the_same_axis(self) -> None:
        run = makers.run([makers.write(2.0, 1.0), makers.write(2.0, applied=4.0)])
        root = ET.fromstring(picture(run, drained=4.0))
        area = next(p.get("d", "") for p in root.iter("path") if p.get("class") == "waiting")
        points = [tuple(map(float, at.split())) for at in area[1:-1].split("L")]
        # 52…632 pixels are -1…3 s since the pause, 360…280 are 0…2 writes
        heights = {x: y for x, y in points if 197 < x < 630}
        self.assertEqual({280.0, 320.0, 360.0}, set(heights.values()))
        for x, y in heights.items():
            if abs(x - 342) > 2 and abs(x - 487) > 2:
                self.assertEqual(280 if x < 342 else 320 if x < 487 else 360, y, x)
        mark = next(p.get("d", "") for p in root.iter("path") if p.get("class") == "drained")
        self.assertEqual("M487.0 280V360", mark)
        self.assertIn("drained +2 s", [node.text for node in root.iter("text")])

    def test_the_whole_run_has_the_depth_too(self) -> None:
        view = View(-2, 8, 5, 640, 240, 44, detail=False)
        shown = texts(picture(makers.run([makers.write(2.1, 0.9)]), view, 3.0))
        self.assertIn("writes waiting", shown)
        self.assertNotIn("drained +1 s", shown)
