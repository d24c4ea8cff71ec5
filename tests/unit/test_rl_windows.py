from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from eva_rl.rl.windows import WINDOWS, StepWindow, stochastic_steps


def chosen(window, training_step, num_steps=25, seed=3):
    return stochastic_steps(num_steps, window, training_step=training_step, seed=seed)


@pytest.mark.parametrize("scheme", WINDOWS)
@settings(deadline=None)
@given(
    num_steps=st.integers(2, 50),
    training_step=st.integers(0, 10**5),
    seed=st.integers(0, 2**40),
    fraction=st.floats(0.01, 1),
    data=st.data(),
)
def test_every_scheme_returns_sorted_steps_and_never_the_last(
    scheme, num_steps, training_step, seed, fraction, data
):
    size = 1 if scheme == "single_step" else data.draw(st.integers(1, num_steps - 1))
    window = StepWindow(scheme=scheme, size=size, fraction=fraction)
    steps = stochastic_steps(num_steps, window, training_step=training_step, seed=seed)
    assert len(steps) >= 1
    assert list(steps) == sorted(set(steps))
    assert steps[0] >= 0
    assert steps[-1] < num_steps - 1
    assert steps == stochastic_steps(num_steps, window, training_step=training_step, seed=seed)
    if scheme not in ("all_but_last", "random_fraction"):
        assert steps == tuple(range(steps[0], steps[0] + size))


def test_all_but_last_is_all_but_the_last():
    assert chosen(StepWindow(scheme="all_but_last"), 0, num_steps=4) == (0, 1, 2)


def test_a_random_fraction_has_its_size_and_reaches_every_step_but_the_last():
    window = StepWindow(scheme="random_fraction", fraction=0.6)
    draws = [chosen(window, training_step, num_steps=20) for training_step in range(200)]
    assert {len(draw) for draw in draws} == {12}
    assert set().union(*draws) == set(range(19))


@pytest.mark.parametrize("scheme", ["early_window", "single_step"])
def test_the_start_of_a_random_window_is_uniform_over_training_steps(scheme):
    window = StepWindow(scheme=scheme, size=1 if scheme == "single_step" else 3, first_step=1, end_step=10)
    starts = Counter(chosen(window, training_step)[0] for training_step in range(4000))
    positions = range(1, 10) if scheme == "single_step" else range(1, 8)
    assert set(starts) == set(positions)
    assert chisquare([starts[start] for start in positions]).pvalue > 0.01


def test_another_run_seed_draws_other_windows():
    window = StepWindow(scheme="early_window", size=2)
    draws = [[chosen(window, step, seed=seed) for step in range(30)] for seed in (0, 1)]
    assert draws[0] != draws[1]


def test_the_sliding_window_moves_once_per_period_and_starts_over():
    window = StepWindow(scheme="sliding_window", size=4, slide_every_steps=25)
    assert chosen(window, 0) == chosen(window, 24) == (0, 1, 2, 3)
    assert chosen(window, 25) == (1, 2, 3, 4)
    assert chosen(window, 20 * 25) == (20, 21, 22, 23)
    assert chosen(window, 21 * 25) == (0, 1, 2, 3)


@pytest.mark.parametrize(
    "window",
    [
        StepWindow(scheme="early_window", size=10),
        StepWindow(scheme="early_window", size=0),
        StepWindow(scheme="early_window", first_step=9),
        StepWindow(scheme="early_window", first_step=-1),
        StepWindow(scheme="early_window", end_step=10),
        StepWindow(scheme="sliding_window", size=3, first_step=2, end_step=4),
    ],
)
def test_a_window_that_does_not_fit_is_refused(window):
    with pytest.raises(ValueError, match=r"must lie within \[0, 9\)"):
        chosen(window, 0, num_steps=10)


def test_wrong_settings_are_named():
    with pytest.raises(ValueError, match=r"window\.scheme must be one of all_but_last"):
        StepWindow(scheme="late_window")
    with pytest.raises(ValueError, match=r"window\.fraction must be in"):
        chosen(StepWindow(scheme="random_fraction", fraction=0.0), 0)
    with pytest.raises(ValueError, match=r"window\.size must be 1 for single_step, got 2"):
        chosen(StepWindow(scheme="single_step", size=2), 0)
    with pytest.raises(ValueError, match="num_steps must be at least 2"):
        chosen(StepWindow(scheme="all_but_last"), 0, num_steps=1)
