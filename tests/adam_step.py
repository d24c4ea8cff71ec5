"""Equality of two first steps of Adam, as exact as the rounding of their gradients lets it be."""

from dataclasses import dataclass

import numpy as np

from eva_rl.records.adapter import AdapterWeights

EPSILON = 1e-8
"""Adam's own, the default of torch and of DeepSpeed."""
ROUNDING = 1e-7
"""Of a float32 sum over the batch, as a share of the largest gradient."""


@dataclass(frozen=True)
class AdamStep:
    """The weights after the first step, and the clipped gradient (same shape) that made it."""

    weights: AdapterWeights
    gradient: np.ndarray


def assert_same_step(values: np.ndarray, expected: AdamStep, *, learning_rate: float) -> None:
    """The first step is lr g / (|g| + epsilon): where |g| is near epsilon, rounding alone turns it.

    So an entry may differ by two millionths, and by as much as a gradient off by its rounding moves the step.
    A gradient of zero is no sum: the first factor of an untrained adapter has it exactly.
    """
    rounding = ROUNDING * np.abs(expected.gradient).max() * (expected.gradient != 0)

    def step(gradient):
        return learning_rate * gradient / (np.abs(gradient) + EPSILON)

    moved = step(expected.gradient + rounding) - step(expected.gradient - rounding)
    excess = np.abs(values - expected.weights.values) - (2e-6 + moved)
    assert excess.max() <= 0, (
        f"entry {excess.argmax()} is {excess.max():.1e} further off than rounding explains"
    )
    assert np.mean(moved[expected.gradient != 0] > 1e-2 * learning_rate) < 0.05  # or the law would say little
