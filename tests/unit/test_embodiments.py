import dataclasses

import numpy as np
import pytest

from eva_rl.embodiments import EMBODIMENTS, Embodiment, JointLimits

LIMIT_FIELDS = {field.name for field in dataclasses.fields(JointLimits)}
UNEVEN_ARMS = (
    JointLimits(
        position_low=(-1.0, -2.0),
        position_high=(1.0, 2.0),
        velocity=(3.0, 4.0),
        acceleration=(5.0, 6.0),
        gripper_velocity=7.0,
        gripper_acceleration=8.0,
    ),
    JointLimits(
        position_low=(-0.5,),
        position_high=(0.5,),
        velocity=(1.5,),
        acceleration=(2.5,),
        gripper_velocity=3.5,
        gripper_acceleration=4.5,
    ),
)


@pytest.mark.parametrize("name", EMBODIMENTS)
def test_every_row_is_consistent_and_says_where_it_comes_from(name):
    row = EMBODIMENTS[name]
    assert row.name == name
    assert row.source
    assert set(row.own_settings) <= LIMIT_FIELDS
    assert sorted(row.arm_indices + row.gripper_indices) == list(range(row.dimension))
    for limits in (row.lower, row.upper, row.velocity, row.acceleration):
        assert limits.shape == (row.dimension,)
        assert np.isfinite(limits).all()
    assert (row.lower < row.upper).all()
    assert (row.velocity > 0).all()
    assert (row.acceleration > 0).all()
    assert row.lower[list(row.gripper_indices)].tolist() == [0.0] * len(row.arms)
    assert row.upper[list(row.gripper_indices)].tolist() == [1.0] * len(row.arms)


@pytest.mark.parametrize("name", set(EMBODIMENTS) - {"franka-panda"})
def test_accelerations_that_nobody_published_are_marked_as_own_settings(name):
    assert "acceleration" in EMBODIMENTS[name].own_settings


def test_two_six_joint_arms_give_the_embedded_action_layout():
    row = EMBODIMENTS["bimanual"]
    assert row.dimension == 14
    assert row.gripper_indices == (6, 13)
    assert row.joints_of("left") == slice(0, 6)
    assert row.joints_of("right") == slice(7, 13)


def test_two_seven_joint_arms_give_sixteen_dimensions():
    assert EMBODIMENTS["franka-panda"].dimension == 16
    assert EMBODIMENTS["franka-panda"].gripper_indices == (7, 15)


def test_piper_speeds_are_the_raw_figures_without_a_safety_factor():
    row = EMBODIMENTS["piper"]
    expected = [180, 195, 180, 225, 225, 225]
    np.testing.assert_allclose(np.rad2deg(row.velocity[row.joints_of("left")]), expected)


def test_arms_of_different_length_are_laid_out_in_action_order():
    row = Embodiment(name="uneven", arm_names=("long", "short"), arms=UNEVEN_ARMS, source="this test")
    assert row.gripper_indices == (2, 4)
    assert row.arm_indices == (0, 1, 3)
    assert row.lower.tolist() == [-1.0, -2.0, 0.0, -0.5, 0.0]
    assert row.velocity.tolist() == [3.0, 4.0, 7.0, 1.5, 3.5]
    assert row.acceleration.tolist() == [5.0, 6.0, 8.0, 2.5, 4.5]


def test_limits_cannot_be_changed_by_a_reader():
    with pytest.raises(ValueError, match="read-only"):
        EMBODIMENTS["bimanual"].velocity[0] = 100.0


def test_a_missing_figure_is_refused_by_name():
    with pytest.raises(ValueError, match=r"JointLimits\.velocity has 1 figures for an arm of 2 joints"):
        dataclasses.replace(UNEVEN_ARMS[0], velocity=(3.0,))


def test_an_empty_position_range_is_refused():
    with pytest.raises(ValueError, match="position_low must lie below"):
        dataclasses.replace(UNEVEN_ARMS[1], position_low=(0.5,))


def test_an_unknown_arm_is_refused_with_the_names():
    with pytest.raises(ValueError, match="has the arms \\('left', 'right'\\), not 'middle'"):
        EMBODIMENTS["bimanual"].joints_of("middle")
