import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eva_rl.rl.schedule import check_sigmas, shifted_sigmas


@settings(deadline=None)
@given(st.integers(1, 200), st.floats(0.2, 12))
def test_every_shifted_schedule_can_be_walked(num_steps, shift):
    sigmas = shifted_sigmas(num_steps, shift=shift)
    check_sigmas(sigmas)
    assert len(sigmas) == num_steps + 1
    assert sigmas[0] == 1


def test_shift_three_moves_the_levels_up():
    assert shifted_sigmas(3, shift=3.0) == pytest.approx((1, 6 / 7, 3 / 5, 0))
    assert shifted_sigmas(4, shift=3.0) == pytest.approx((1, 9 / 10, 3 / 4, 1 / 2, 0))


def test_shift_one_is_uniform():
    assert shifted_sigmas(4, shift=1.0) == (1.0, 0.75, 0.5, 0.25, 0.0)


@pytest.mark.parametrize(
    "sigmas", [(), (0.0,), (1.0, 0.5), (1.0, 0.5, 0.5, 0.0), (0.0, 1.0), (1.2, 0.0), (1.0, -0.1, 0.0)]
)
def test_a_schedule_that_cannot_be_walked_is_refused(sigmas):
    with pytest.raises(ValueError, match="sigmas must fall strictly"):
        check_sigmas(sigmas)


@pytest.mark.parametrize(("num_steps", "shift"), [(0, 3.0), (4, 0.0), (4, -1.0)])
def test_settings_out_of_range_are_refused(num_steps, shift):
    with pytest.raises(ValueError, match="must be"):
        shifted_sigmas(num_steps, shift=shift)
