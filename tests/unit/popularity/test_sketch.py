"""The frequency sketch."""

import collections
import unittest

from hypothesis import given
from hypothesis import strategies as st

from nova_cachemig.popularity.sketch import FrequencySketch


class FrequencySketchTest(unittest.TestCase):
    @given(st.lists(st.integers(0, 50), max_size=300))
    def test_an_estimate_is_never_too_low(self, keys):
        sketch = FrequencySketch(100)  # ages after 1000
        for key in keys:
            sketch.add(key)
        for key, count in collections.Counter(keys).items():
            self.assertGreaterEqual(sketch.estimate(key), min(count, 255))

    def test_an_estimate_is_close_under_load(self):
        sketch = FrequencySketch(1000)
        for key in range(3000):
            sketch.add(key)
        for _ in range(50):
            sketch.add("hot")
        self.assertIn(sketch.estimate("hot"), range(50, 56))
        self.assertLess(sum(sketch.estimate(("new", i)) for i in range(1000)) / 1000, 1.5)

    def test_old_counts_decay(self):
        sketch = FrequencySketch(10)
        for _ in range(80):
            sketch.add("old")
        for i in range(60):
            sketch.add(i)
        self.assertLess(sketch.estimate("old"), 80)
        self.assertGreater(sketch.estimate("old"), 20)

    def test_a_count_does_not_overflow(self):
        sketch = FrequencySketch(1000)
        for _ in range(600):
            sketch.add("k")
        self.assertEqual(255, sketch.estimate("k"))
