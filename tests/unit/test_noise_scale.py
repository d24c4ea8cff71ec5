"""The noise scale of a gradient on groups whose mean and spread are known."""

import math

import numpy as np
import pytest

from benchmarks.noise_scale import noise_scale


def gram_of(*, signal, noise, groups=400, dimensions=300, seed=0):
    """Inner products of gradients with |g| = signal and tr S = noise^2."""
    mean = np.zeros(dimensions)
    mean[0] = signal
    spread = np.random.default_rng(seed).standard_normal((groups, dimensions)) * noise / dimensions**0.5
    gradients = mean + spread
    return gradients @ gradients.T


@pytest.mark.parametrize(("signal", "noise"), [(1.0, 2.0), (0.5, 3.0), (2.0, 2.0)])
def test_the_noise_scale_is_the_spread_over_the_squared_mean(signal, noise):
    found = noise_scale(gram_of(signal=signal, noise=noise))
    assert found.value == pytest.approx((noise / signal) ** 2, rel=0.1)
    assert found.low < (noise / signal) ** 2 < found.high


def test_units_of_the_loss_do_not_matter():
    gram = gram_of(signal=1.0, noise=2.0)
    assert noise_scale(9.0 * gram).value == pytest.approx(noise_scale(gram).value)


def test_without_a_signal_no_batch_is_known_to_be_large_enough():
    assert noise_scale(gram_of(signal=0.0, noise=1.0)).high == math.inf


def test_equal_gradients_have_no_noise():
    assert noise_scale(np.ones((8, 8))).value == pytest.approx(0)
