import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from eva_rl.embodiments import EMBODIMENTS
from eva_rl.rewards.cost_map import dimension_weights
from eva_rl.rewards.limits import KinematicLimits
from eva_rl.rewards.motion import JointMotion


@settings(deadline=None)
@given(
    members=st.integers(1, 3),
    frames=st.integers(4, 20),
    dimensions=st.integers(1, 5),
    frame_rate_hz=st.floats(1, 30),
)
def test_a_cubic_has_the_constant_jerk_of_its_coefficient(members, frames, dimensions, frame_rate_hz):
    time = torch.arange(frames, dtype=torch.float64) / frame_rate_hz
    positions = (time**3)[None, :, None].expand(members, frames, dimensions)
    motion = JointMotion.from_positions(positions, frame_rate_hz)
    torch.testing.assert_close(
        motion.jerk,
        torch.full((members, frames - 3, dimensions), 6.0, dtype=torch.float64),
        atol=1e-6,
        rtol=0,
    )
    assert motion.velocity.shape == (members, frames - 1, dimensions)
    assert motion.acceleration.shape == (members, frames - 2, dimensions)


def test_the_path_length_counts_every_arm_joint_and_no_gripper():
    positions = torch.zeros(1, 5, 3)
    positions[0, :, 0] = torch.tensor([0.0, 1.0, 0.0, 1.0, 1.0])
    positions[0, :, 1] = torch.tensor([0.0, 0.5, 0.5, 0.5, 0.0])
    positions[0, :, 2] = torch.tensor([0.0, 1.0, 0.0, 1.0, 0.0])
    motion = JointMotion.from_positions(positions, 5.0)
    assert motion.path_lengths(torch.tensor([False, False, True])).item() == pytest.approx(4.0)


def test_too_few_frames_and_a_wrong_rate_are_refused():
    with pytest.raises(ValueError, match="at least 4 frames for a jerk, got 3"):
        JointMotion.from_positions(torch.zeros(1, 3, 2), 5.0)
    with pytest.raises(ValueError, match="frame_rate_hz must be positive, got 0"):
        JointMotion.from_positions(torch.zeros(1, 4, 2), 0.0)


@pytest.mark.parametrize("name", EMBODIMENTS)
def test_limits_are_those_of_the_embodiment_in_action_order(name):
    embodiment = EMBODIMENTS[name]
    limits = KinematicLimits.of(embodiment, velocity_scale=0.5, acceleration_scale=0.25)
    assert limits.is_gripper.nonzero().flatten().tolist() == list(embodiment.gripper_indices)
    arms = ~limits.is_gripper
    full = torch.tensor(embodiment.velocity, dtype=torch.float32)
    torch.testing.assert_close(limits.velocity[arms], full[arms] / 2)
    torch.testing.assert_close(limits.velocity[~arms], full[~arms])
    full = torch.tensor(embodiment.acceleration, dtype=torch.float32)
    torch.testing.assert_close(limits.acceleration[arms], full[arms] / 4)
    torch.testing.assert_close(limits.acceleration[~arms], full[~arms])


def test_dimension_weights_have_mean_one_and_a_gripper_counts_a_fifth():
    weights = dimension_weights(KinematicLimits.of(EMBODIMENTS["piper"]))
    assert weights.mean() == pytest.approx(1.0)
    assert (weights[6] / weights[0]).item() == pytest.approx(0.2)
