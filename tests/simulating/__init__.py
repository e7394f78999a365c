"""Deterministic simulation of the write path: the machine of ``nova_cachemig.replay`` with a
simulated journal, network, guest, edge and clients, all driven by one seed.
"""
