"""Intervals against published figures and scipy."""

import numpy as np
import pytest
from scipy import stats

from eva_rl.evaluation.intervals import mean, paired_difference, proportion

# Newcombe 1998, "Two-sided confidence intervals for the single proportion", Stat. Med. 17, table I,
# method 3 (score method without continuity correction).
NEWCOMBE = {
    (81, 263): (0.2553, 0.3662),
    (15, 148): (0.0624, 0.1605),
    (0, 20): (0.0, 0.1611),
    (1, 29): (0.0061, 0.1718),
}


def trials(successes: int, n: int) -> np.ndarray:
    return np.arange(n) < successes


@pytest.mark.parametrize(("successes", "n"), NEWCOMBE)
def test_wilson_interval_equals_the_published_one(successes, n):
    estimate = proportion(trials(successes, n))
    assert (estimate.value, estimate.n) == (successes / n, n)
    assert (estimate.low, estimate.high) == pytest.approx(NEWCOMBE[successes, n], abs=5e-5)


@pytest.mark.parametrize("n", [1, 7, 200])
def test_wilson_interval_equals_scipys_and_holds_the_value(n):
    for successes in range(0, n + 1, max(1, n // 7)):
        ours = proportion(trials(successes, n))
        theirs = stats.binomtest(successes, n).proportion_ci(method="wilson")
        assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=1e-9)
        assert 0 <= ours.low <= ours.value <= ours.high <= 1


def test_bootstrap_interval_equals_scipys_percentile_interval():
    values = np.random.default_rng(0).exponential(size=120)
    ours = mean(values, seed=1)
    theirs = stats.bootstrap(
        (values,), np.mean, method="percentile", rng=np.random.default_rng(2)
    ).confidence_interval
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=0.01)


def test_equal_seeds_give_equal_intervals():
    values = np.random.default_rng(0).normal(size=50)
    assert mean(values, seed=3) == mean(values, seed=3)
    assert mean(values, seed=3) != mean(values, seed=4)


def test_paired_difference_of_proportions_equals_scipys():
    generator = np.random.default_rng(0)
    luck = generator.uniform(size=200)
    before, after = luck < 0.46, luck + 0.1 * generator.normal(size=200) < 0.56
    ours = paired_difference(before, after)
    theirs = stats.bootstrap(
        (before.astype(float), after.astype(float)),
        lambda old, new, axis: new.mean(axis=axis) - old.mean(axis=axis),
        paired=True,
        vectorized=True,
        method="percentile",
        rng=np.random.default_rng(2),
    ).confidence_interval
    assert ours.value == pytest.approx(after.mean() - before.mean())
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=0.011)


def test_what_makes_conditions_hard_for_both_sides_cancels():
    generator = np.random.default_rng(0)
    difficulty = 10 * generator.normal(size=100)
    difference = paired_difference(difficulty, difficulty + 1 + 0.1 * generator.normal(size=100))
    assert difference.high - difference.low < 0.1
    assert difference.low < 1 < difference.high


def test_nineteen_of_twenty_paired_intervals_hold_the_true_difference():
    generator = np.random.default_rng(0)
    num_held, num_runs = 0, 80
    for _ in range(num_runs):
        luck = generator.uniform(size=(2, 100))
        before, after = luck[0] < 0.4, np.where(luck[1] < 0.5, luck[0], luck[1]) < 0.55
        truth = 0.15 * 0.5 + 0.5 * ((0.55 - 0.5) / 0.5 - 0.4)
        estimate = paired_difference(before, after)
        num_held += estimate.low <= truth <= estimate.high
    assert 0.88 * num_runs <= num_held < num_runs


def test_impossible_input_is_refused():
    with pytest.raises(ValueError, match="at least one value"):
        proportion([])
    with pytest.raises(ValueError, match="1 of 2 values are not finite"):
        mean([1.0, float("nan")])
    with pytest.raises(ValueError, match="got 1 and 2 values"):
        paired_difference([1.0], [1.0, 2.0])
