"""The record of a handover, as tables and text for an operator. Pure."""
