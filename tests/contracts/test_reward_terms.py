"""What every row of REWARD_TERMS promises; a new row is tested by being in the table."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from eva_rl.embodiments import EMBODIMENTS
from eva_rl.rewards.expected import ExpectedMotion
from eva_rl.rewards.limits import KinematicLimits
from eva_rl.rewards.motion import JointMotion
from eva_rl.rewards.terms import REWARD_TERMS

LIMITS = KinematicLimits.of(EMBODIMENTS["piper"], dtype=torch.float64)
DIMENSIONS, FRAMES, FRAME_RATE_HZ = 14, 17, 5.0
PAPER_TERMS = ("jerk", "acceleration", "velocity_limit", "acceleration_limit")
every_term = pytest.mark.parametrize("term", REWARD_TERMS)


def middle_pose():
    return (LIMITS.lower + LIMITS.upper) / 2


def uniform_motion(frames=FRAMES, frame_rate_hz=FRAME_RATE_HZ):
    """One video that crosses 0.2 rad at constant speed, well inside all limits."""
    time = torch.arange(frames, dtype=torch.float64) / frame_rate_hz
    travel = torch.where(LIMITS.is_gripper, 0.0, 0.1)
    return (middle_pose() + time[:, None] * travel)[None]


def expected_of(positions):
    motion = JointMotion.from_positions(positions, FRAME_RATE_HZ)
    return ExpectedMotion(
        start_joints=positions[:1, 0], path_length=motion.path_lengths(LIMITS.is_gripper)[:1]
    )


def cost(term, positions, *, expected=None, frame_rate_hz=FRAME_RATE_HZ):
    motion = JointMotion.from_positions(positions, frame_rate_hz)
    return REWARD_TERMS[term](motion, LIMITS, expected=expected or expected_of(uniform_motion()))


def wild_motion(members, seed=0):
    noise = torch.randn(
        members, FRAMES, DIMENSIONS, generator=torch.Generator().manual_seed(seed), dtype=torch.float64
    )
    return middle_pose() + 3 * noise


@every_term
def test_uniform_motion_inside_the_limits_costs_nothing(term):
    torch.testing.assert_close(
        cost(term, uniform_motion()), torch.zeros(1, dtype=torch.float64), rtol=0, atol=1e-20
    )


@every_term
@settings(deadline=None, max_examples=25)
@given(members=st.integers(1, 5), seed=st.integers(0, 50))
def test_costs_are_finite_and_never_negative(term, members, seed):
    costs = cost(term, wild_motion(members, seed))
    assert costs.shape == (members,)
    assert costs.isfinite().all()
    assert (costs >= 0).all()


@every_term
@settings(deadline=None, max_examples=25)
@given(order=st.permutations(range(5)))
def test_a_member_is_costed_by_itself(term, order):
    positions = wild_motion(5)
    costs = cost(term, positions)
    torch.testing.assert_close(cost(term, positions[order]), costs[order])
    for member in range(5):
        torch.testing.assert_close(cost(term, positions[member : member + 1]), costs[member : member + 1])


@every_term
def test_no_gradient_leaks_from_one_member_to_another(term):
    positions = wild_motion(3).requires_grad_()
    cost(term, positions)[1].backward()
    assert torch.count_nonzero(positions.grad[[0, 2]]) == 0
    assert positions.grad.isfinite().all()


@every_term
def test_every_term_punishes_a_wild_or_a_frozen_motion(term):
    frozen = middle_pose().expand(1, FRAMES, DIMENSIONS)
    assert cost(term, torch.cat((wild_motion(1), frozen))).max() > 0


@every_term
def test_the_precision_of_the_positions_is_kept(term):
    assert cost(term, wild_motion(2)).dtype == torch.float64


@pytest.mark.parametrize("term", PAPER_TERMS)
def test_a_robot_at_rest_costs_nothing_in_the_terms_of_the_paper(term):
    assert cost(term, middle_pose().expand(1, FRAMES, DIMENSIONS)).item() == 0


@pytest.mark.parametrize("term", ["jerk", "acceleration", "acceleration_limit"])
def test_more_jitter_costs_more(term):
    jitter = wild_motion(1) - middle_pose()
    costs = [cost(term, uniform_motion() + size * jitter).item() for size in (0.05, 0.1, 0.2, 0.4)]
    assert costs == sorted(costs)
    assert costs[0] < costs[-1]


@pytest.mark.parametrize("term", PAPER_TERMS)
def test_a_wider_teleport_costs_more(term):
    costs = []
    for jump in (0.8, 1.2, 1.6):
        positions = uniform_motion().clone()
        positions[:, 8:, 2] += jump
        costs.append(cost(term, positions).item())
    assert 0 < costs[0] < costs[1] < costs[2]


def test_only_speed_above_the_limit_costs_and_more_costs_more():
    def at_speed(share):
        time = torch.arange(FRAMES, dtype=torch.float64) / FRAME_RATE_HZ
        return (share * time[:, None] * LIMITS.velocity)[None]

    costs = [cost("velocity_limit", at_speed(share)).item() for share in (0.99, 1.1, 1.5)]
    assert costs[0] == 0
    assert 0 < costs[1] < costs[2]


def test_a_grippers_jump_costs_a_fifth_of_an_arm_joints_in_the_position_term():
    arm, gripper = uniform_motion(), uniform_motion()
    arm[:, 3, 0] = LIMITS.upper[0] + 0.3
    gripper[:, 3, 6] = LIMITS.upper[6] + 0.3
    ratio = cost("position_limit", gripper) / cost("position_limit", arm)
    assert ratio.item() == pytest.approx(0.2)


@pytest.mark.parametrize("term", ["acceleration", "acceleration_limit"])
def test_the_frame_rate_does_not_matter_for_the_same_motion_in_seconds(term):
    def accelerating(frame_rate_hz):
        time = torch.arange(int(3.2 * frame_rate_hz), dtype=torch.float64) / frame_rate_hz
        return (3.5 * time[:, None] ** 2).expand(-1, DIMENSIONS)[None]

    slow, fast = (cost(term, accelerating(rate), frame_rate_hz=rate).item() for rate in (5.0, 40.0))
    assert slow > 0
    assert fast == pytest.approx(slow, rel=1e-9)


def test_the_motion_floor_costs_one_at_rest_and_nothing_from_half_the_expected_path_on():
    start, motion = uniform_motion()[:, :1], uniform_motion() - uniform_motion()[:, :1]
    costs = [cost("motion_floor", start + share * motion).item() for share in (0, 0.25, 0.5, 1, 2)]
    assert costs == pytest.approx([1, 0.25, 0, 0, 0])
    costs = [cost("path_ratio", start + share * motion).item() for share in (0, 0.5, 1, 2)]
    assert costs == pytest.approx([1, 0.25, 0, 1])


@pytest.mark.parametrize("term", ["start_pose", "motion_floor", "path_ratio"])
def test_a_term_says_which_expectation_it_lacks(term):
    with pytest.raises(ValueError, match=rf"{term}.* needs? expected\."):
        cost(term, uniform_motion(), expected=ExpectedMotion())
