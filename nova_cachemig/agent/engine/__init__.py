"""Renders, validates and runs HAProxy and Varnish, and flips their state at run time."""
