"""The weights of the mixture: their bound, and where they go."""

import unittest

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from nova_cachemig.forecast.aggregate import RATES, Losses, Weights, aggregate

PRIOR = np.array([1.0, 4.0, 0.5])
# Far above 1e-150, the unit of regrets that are smaller than that.
LOSS = st.floats(0.0, 1.0).map(lambda loss: loss if loss > 1e-100 else 0.0)
LOSSES = arrays.arrays(np.float64, st.tuples(st.integers(1, 60), st.just(3)), elements=LOSS)


def mixture(members, actual, prior=PRIOR, delay=0):
    """The weights at each origin, float[O, K], for members float[K, H, O] of scale 1."""
    origins = np.arange(members.shape[2])
    losses = Losses.of(members, actual, np.ones(actual.shape))
    return aggregate(losses, np.maximum(origins - delay, 0), prior)


class BoundTest(unittest.TestCase):
    @given(LOSSES)
    def test_no_member_is_beaten_by_more_than_the_bound_whatever_the_losses_are(self, losses):
        state = Weights(PRIOR)
        state._largest = 1.0  # known in advance: the sums are never rescaled
        for row in losses:
            state.update(state.current() @ row - row)
        potential = np.exp(state.log_potential())
        self.assertLessEqual(potential.sum() / len(RATES), 1 + 1e-9)
        # and so, for each member and rate: R <= eta V + log(N / p) / eta
        price = np.log(len(RATES) * PRIOR.sum() / PRIOR)[:, None] / RATES
        bound = RATES * state._squares[:, None] + price
        self.assertTrue((state._sum[:, None] <= bound + 1e-9).all())

    @given(LOSSES, st.floats(1e-6, 1e6))
    def test_the_unit_of_the_losses_does_not_matter(self, losses, unit):
        one, other = Weights(PRIOR), Weights(PRIOR)
        for row in losses:
            one.update(one.current() @ row - row)
            other.update(other.current() @ (unit * row) - unit * row)
        np.testing.assert_allclose(one.current(), other.current(), atol=1e-6)


class AggregateTest(unittest.TestCase):
    def test_without_outcomes_the_weights_are_the_prior(self):
        rng = np.random.default_rng(0)
        weights = mixture(rng.random((3, 2, 5)), np.full((2, 5), np.nan))
        np.testing.assert_allclose(weights, np.tile(PRIOR / PRIOR.sum(), (5, 1)))

    def test_members_that_agree_keep_their_prior_weights(self):
        rng = np.random.default_rng(0)
        same = np.tile(rng.random((4, 50)), (3, 1, 1)) * (1 + 1e-15 * rng.random((3, 4, 50)))
        weights = mixture(same, rng.random((4, 50)))
        np.testing.assert_allclose(weights[-1], PRIOR / PRIOR.sum(), rtol=1e-6)

    def test_the_weight_goes_to_the_best_member(self):
        rng = np.random.default_rng(0)
        actual = rng.normal(0, 1, (20, 400))
        members = actual + np.array([1.0, 1.0, 0.2])[:, None, None] * rng.normal(0, 1, (3, 20, 400))
        self.assertGreater(mixture(members, actual, delay=12)[-1, 2], 0.9)

    def test_members_that_err_in_opposite_ways_are_mixed(self):
        rng = np.random.default_rng(0)
        error = rng.normal(0, 1, (20, 800))
        members = np.stack([error, -1.5 * error, rng.normal(0, 3, (20, 800))])
        weights = mixture(members, np.zeros((20, 800)), np.ones(3))[-1]
        self.assertGreater(weights[1], 0.25)  # although it is worse alone
        self.assertGreater(weights[0], weights[1])
        self.assertLess(weights[2], 0.05)

    def test_only_known_outcomes_count(self):
        rng = np.random.default_rng(0)
        members, actual = rng.random((3, 4, 60)), rng.random((4, 60))
        other = actual.copy()
        other[:, 20:] = 9.0
        one, two = mixture(members, actual, delay=5), mixture(members, other, delay=5)
        np.testing.assert_array_equal(one[:26], two[:26])
        self.assertFalse(np.allclose(one[-1], two[-1]))
