"""Entry point of ``nova-cachemig-forecaster``."""

from __future__ import annotations

import sys

from nova_cachemig.forecaster import service


def main() -> int:
    """Run the forecaster with the arguments of the command line."""
    return service.run(sys.argv[1:])
