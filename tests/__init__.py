"""All tests.

The tests run on uvloop's event loops, as the agent does. In CI, Hypothesis draws the same examples
each time. It looks for new ones on developers' machines, where a developer sees its findings.
"""

import asyncio
import os

import hypothesis
import uvloop

asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())

hypothesis.settings.register_profile("ci", derandomize=True, deadline=None)
if os.environ.get("CI"):
    hypothesis.settings.load_profile("ci")
