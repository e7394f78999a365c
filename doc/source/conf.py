"""Sphinx configuration."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))

project = "nova-cachemig"
copyright = "nova-cachemig developers"  # noqa: A001 - Sphinx names it so
extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.graphviz",
    "oslo_config.sphinxext",
    "oslo_policy.sphinxext",
    "reno.sphinxext",
]
exclude_patterns = ["api/calls.txt"]
html_theme = "alabaster"
html_theme_options = {"description": "Live migration unnoticed", "page_width": "70em"}
graphviz_output_format = "svg"

# The diagram of phases is drawn from the table that the code follows.
from nova_cachemig.handover.diagram import graphviz  # noqa: E402

_generated = pathlib.Path(__file__).parent / "contributor" / "phases.dot"
_generated.write_text(graphviz())

# The API reference is written from the calls that the API declares.
from nova_cachemig.api import reference  # noqa: E402
from nova_cachemig.api.calls import CALLS  # noqa: E402

_calls = pathlib.Path(__file__).parent / "api" / "calls.txt"
_calls.write_text(reference.text(CALLS))
