"""All tests.

The tests run on uvloop's event loops, as the agent does. In CI, Hypothesis draws the same examples
each time. It looks for new ones on developers' machines, where a developer sees its findings.
"""

import asyncio
import os

import hypothesis
import uvloop

asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())

# No limits of time: a busy machine is not a fault of the code.
hypothesis.settings.register_profile(
    "local", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.register_profile(
    "ci", hypothesis.settings.get_profile("local"), derandomize=True
)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "local")
