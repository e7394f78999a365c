"""Patches the process for eventlet, or forbids eventlet, as Nova does: import it first.

Nova 34 also does so when its own functional tests are imported, Nova 32 does not.
"""

from __future__ import annotations

import nova.monkey_patch

nova.monkey_patch.patch()
