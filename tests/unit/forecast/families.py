"""Families of load that the tests of this folder share: each float64[hosts, samples], 5 min."""

import numpy as np

from nova_cachemig.model import load


def matrix(values, step=300.0):
    values = np.asarray(values, dtype=np.float64)
    return load.LoadMatrix(tuple(f"h{i}" for i in range(len(values))), 1000.0, step, values)


def noise(hosts, samples, seed=0):
    rng = np.random.default_rng(seed)
    return np.clip(rng.gamma(2, 10, (hosts, 1)) + rng.normal(0, 3, (hosts, samples)), 0, None)


def daily(hosts, days, seed=0):
    rng = np.random.default_rng(seed)
    t = np.arange(days * 288)
    phase = rng.uniform(0, 2 * np.pi, (hosts, 1))
    return 40 + 20 * np.sin(2 * np.pi * t / 288 + phase) + rng.normal(0, 1, (hosts, t.size))


def alternating(slot, samples, seed=0):
    """Two hosts, busy in turn for ``slot`` samples, and a steady third between them."""
    rng = np.random.default_rng(seed)
    even = np.arange(samples) // slot % 2 == 0
    rows = [np.where(even, 80, 5), np.where(even, 5, 80), np.full(samples, 50)]
    return np.clip(np.stack(rows) + rng.normal(0, 2, (3, samples)), 0, None)


def persistent(hosts, samples, seed=0):
    """A first-order autoregression."""
    rng = np.random.default_rng(seed)
    x = np.zeros((hosts, samples))
    for t in range(1, samples):
        x[:, t] = 0.97 * x[:, t - 1] + rng.normal(0, 1, hosts)
    return 40 + 3 * x
