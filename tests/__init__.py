"""All tests.

Event loops are uvloop's, as in the agent. In CI, Hypothesis draws the same examples each time: it
looks for new ones on developers' machines, where somebody sees what it finds.
"""

import asyncio
import os

import hypothesis
import uvloop

asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())

hypothesis.settings.register_profile("ci", derandomize=True, deadline=None)
if os.environ.get("CI"):
    hypothesis.settings.load_profile("ci")
