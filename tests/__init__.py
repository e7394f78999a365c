"""All tests. In CI Hypothesis draws the same examples each time: what it finds at random it finds
on a developer's machine, where somebody looks."""

import os

import hypothesis

hypothesis.settings.register_profile("ci", derandomize=True, deadline=None)
if os.environ.get("CI"):
    hypothesis.settings.load_profile("ci")
