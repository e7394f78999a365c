"""Online aggregation of forecasters: weights that follow the members' past losses.

The algorithm is Squint (Koolen and van Erven, 'Second-order quantile methods for experts and
combinatorial games', COLT 2015) with a grid of learning rates. All hosts share the weights. The
loss of an origin is the mean over the hosts of the squared, scaled error. It is divided by the sum
of the mixture's own loss there and its mean loss so far, so that one bad hour counts little more
than others. The regret of a member is the gradient of that loss at the mixture, times the
difference of the two. The bound therefore holds against every fixed convex combination of the
members, and not only against each single member.

Let R and V be the sums of a member's regrets and of their squares, in units of the largest regret,
and p its prior weight. For any loads, R <= eta V + log(N / p) / eta for each of the N rates eta: a
multiple of sqrt(V log(N / p)). The largest regret is not known in advance. When it grows, the sums
are rescaled (Mhammedi, Koolen and van Erven, 'Lipschitz adaptivity with multiple
learning rates in online learning', COLT 2019). A loss is known one horizon late. With d origins per
horizon, the bound grows by a factor of at most d (Joulani, Gyorgy and Szepesvari, 'Online learning
under delayed feedback', ICML 2013).
"""

from __future__ import annotations

import dataclasses
from typing import Final

import numpy as np

from nova_cachemig.forecast.history import Floats, Ints

RATES: Final = 0.5 ** np.arange(1.0, 11.0)
"""Learning rates, for regrets of at most 1; each has the same prior."""

NOISE: Final = 1e-9
"""Regrets below this part of the members' mean square are rounding errors: members that agree."""


@dataclasses.dataclass(frozen=True, eq=False)
class Losses:
    """Forecasts of the members and outcomes, scaled; zero where the outcome is unknown."""

    members: Floats
    """float[O, K, H]."""
    actual: Floats
    """float[O, H]."""
    count: Floats
    """float[O]: number of hosts with a known outcome, at least 1."""

    @classmethod
    def of(cls, members: Floats, actual: Floats, scale: Floats) -> Losses:
        """From forecasts float[K, H, O], outcomes float[H, O] (NaN: unknown) and scale."""
        known = np.isfinite(actual) & np.isfinite(members).all(axis=0)
        forecast = np.where(known, members / scale, 0.0).transpose(2, 0, 1)
        outcome = np.where(known, actual / scale, 0.0).T
        return cls(np.ascontiguousarray(forecast), outcome, np.maximum(known.sum(axis=0), 1.0))

    def regrets(self, origin: int, weights: Floats) -> tuple[Floats, float]:
        """Return the mixture's loss less each member's, float[K], and the mixture's own loss.

        The differences are to first order, and not yet divided by the mean loss.
        """
        members, count = self.members[origin], self.count[origin]
        errors = weights @ members - self.actual[origin]
        losses = members @ (2.0 * errors / count)
        regrets = weights @ losses - losses
        rounding = NOISE * float((members**2).sum(axis=1).max()) / count
        kept = np.where(np.abs(regrets) > rounding, regrets, 0.0)
        return kept, float(errors @ errors / count)


class Weights:
    """The weights of K members, updated with their regrets."""

    def __init__(self, prior: Floats) -> None:
        """``prior`` is float[K], above zero; its sum may differ from 1."""
        self._log_prior = np.log(prior / prior.sum())
        self._sum = np.zeros(len(prior))
        self._squares = np.zeros(len(prior))
        self._largest = 0.0

    def log_potential(self) -> Floats:
        """Return log(p exp(eta R - eta^2 V)) for each member and rate, float[K, N]."""
        unit = max(self._largest, 1e-150)
        total, squares = self._sum / unit, self._squares / unit / unit
        return np.asarray(
            self._log_prior[:, None] + RATES * total[:, None] - RATES**2 * squares[:, None]
        )

    def current(self) -> Floats:
        """Return the weights, float[K], with sum 1: the prior before the first update."""
        log = self.log_potential() + np.log(RATES)
        weights = np.exp(log - log.max()).sum(axis=1)
        return np.asarray(weights / weights.sum())

    def update(self, regrets: Floats) -> None:
        """Add one origin's regrets, float[K]."""
        self._sum = self._sum + regrets
        self._squares = self._squares + regrets**2
        self._largest = max(self._largest, float(np.abs(regrets).max()))


def aggregate(losses: Losses, done: Ints, prior: Floats) -> Floats:
    """Return the weights at each origin, float[O, K].

    ``done`` is int[O], rising: the number of origins whose outcome is known at each origin. The
    weights at an origin depend on these only.
    """
    state = Weights(prior)
    result = np.empty((len(done), len(prior)))
    learned, total = 0, 0.0
    for origin, known in enumerate(done.tolist()):
        for past in range(learned, known):
            regrets, loss = losses.regrets(past, result[past])
            total += loss
            state.update(regrets / max(loss + total / (past + 1), 1e-300))
        learned = known
        result[origin] = state.current()
    return result
