"""Runs handovers: feeds events to the machine in ``handover`` and performs its actions."""
