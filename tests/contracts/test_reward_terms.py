"""What every row of REWARD_TERMS promises; a new row is tested by being in the table."""

from dataclasses import fields

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from eva_rl.embodiments import EMBODIMENTS
from eva_rl.rewards.evidence import Evidence, MissingEvidenceError
from eva_rl.rewards.limits import KinematicLimits
from eva_rl.rewards.motion import JointMotion
from eva_rl.rewards.terms import REWARD_TERMS

LIMITS = KinematicLimits.of(EMBODIMENTS["piper"], dtype=torch.float64)
DIMENSIONS, FRAMES, FRAME_RATE_HZ = 14, 17, 5.0
PAPER_TERMS = ("jerk", "acceleration", "velocity_limit", "acceleration_limit")
# They are there to make standing still cost something.
LAZINESS_TERMS = ("motion_floor", "path_ratio")
# A demonstration moves.
IMITATION_TERMS = ("demonstrated_motion",)
SCENE_TERMS = ("collision_margin", "cycle_consistency", "task_progress")
every_term = pytest.mark.parametrize("term", REWARD_TERMS)


def middle_pose():
    return (LIMITS.lower + LIMITS.upper) / 2


def uniform_motion(frames=FRAMES, frame_rate_hz=FRAME_RATE_HZ):
    """One video that crosses 0.2 rad at constant speed, well inside all limits."""
    time = torch.arange(frames, dtype=torch.float64) / frame_rate_hz
    travel = torch.where(LIMITS.is_gripper, 0.0, 0.1)
    return (middle_pose() + time[:, None] * travel)[None]


def at_rest(frames=FRAMES):
    return middle_pose().expand(1, frames, DIMENSIONS)


def path_of(positions, frame_rate_hz=FRAME_RATE_HZ):
    return JointMotion.from_positions(positions, frame_rate_hz).path_lengths(LIMITS.is_gripper)


def flawless(members=1, frames=FRAMES, path_length=None):
    """Evidence of which no term can complain if the motion is uniform."""
    return Evidence(
        start_joints=uniform_motion()[:, 0],
        path_length=path_of(uniform_motion()) if path_length is None else path_length,
        demonstration=uniform_motion(frames),
        arm_clearance_m=torch.full((members, frames, 2), 0.3, dtype=torch.float64),
        cycle_error=torch.zeros(members, frames, dtype=torch.float64),
        progress=torch.ones(members, dtype=torch.float64),
    )


def spoiled(members, seed=0):
    """Evidence of rollouts that touch, do not look like their motion and do not solve their task."""
    generator = torch.Generator().manual_seed(seed)

    def uniform(*shape):
        return torch.rand(*shape, generator=generator, dtype=torch.float64)

    return Evidence(
        start_joints=uniform_motion()[:, 0],
        path_length=path_of(uniform_motion()),
        demonstration=uniform_motion(),
        arm_clearance_m=0.04 * uniform(members, FRAMES, 2) - 0.02,
        cycle_error=uniform(members, FRAMES),
        progress=uniform(members),
    )


def of_members(evidence, members):
    per_member = ("arm_clearance_m", "cycle_error", "progress")
    values = {field.name: getattr(evidence, field.name) for field in fields(evidence)}
    return Evidence(**{name: v[members] if name in per_member else v for name, v in values.items()})


def cost_map(term, positions, *, evidence=None, frame_rate_hz=FRAME_RATE_HZ):
    motion = JointMotion.from_positions(positions, frame_rate_hz)
    evidence = evidence or flawless(*positions.shape[:2])
    return REWARD_TERMS[term].cost(motion, LIMITS, evidence=evidence)


def cost(term, positions, **known):
    return cost_map(term, positions, **known).sum(dim=(1, 2))


def wild_motion(members, seed=0):
    noise = torch.randn(
        members, FRAMES, DIMENSIONS, generator=torch.Generator().manual_seed(seed), dtype=torch.float64
    )
    return middle_pose() + 3 * noise


@every_term
def test_every_row_says_where_it_comes_from_and_what_it_needs(term):
    row = REWARD_TERMS[term]
    assert row.source
    assert set(row.needs) <= {field.name for field in fields(Evidence)}
    reach = row.frames_back(FRAME_RATE_HZ)
    assert reach is None or 0 <= reach < FRAMES


@every_term
def test_uniform_motion_inside_the_limits_costs_nothing(term):
    torch.testing.assert_close(
        cost(term, uniform_motion()), torch.zeros(1, dtype=torch.float64), rtol=0, atol=1e-20
    )


@every_term
@settings(deadline=None, max_examples=25)
@given(members=st.integers(1, 5), seed=st.integers(0, 50))
def test_costs_are_finite_and_never_negative(term, members, seed):
    costs = cost_map(term, wild_motion(members, seed), evidence=spoiled(members, seed))
    assert costs.shape == (members, FRAMES, DIMENSIONS)
    assert costs.isfinite().all()
    assert (costs >= 0).all()


@every_term
@settings(deadline=None, max_examples=25)
@given(order=st.permutations(range(5)))
def test_a_member_is_costed_by_itself(term, order):
    positions, evidence = wild_motion(5), spoiled(5)
    costs = cost(term, positions, evidence=evidence)
    shuffled = cost(term, positions[order], evidence=of_members(evidence, order))
    torch.testing.assert_close(shuffled, costs[order])
    for member in range(5):
        alone = slice(member, member + 1)
        torch.testing.assert_close(
            cost(term, positions[alone], evidence=of_members(evidence, alone)), costs[alone]
        )


@every_term
def test_no_gradient_leaks_from_one_member_to_another(term):
    positions = wild_motion(3).requires_grad_()
    costs = cost(term, positions, evidence=spoiled(3))
    if term in SCENE_TERMS:  # a simulator has no gradient
        assert not costs.requires_grad
        return
    costs[1].backward()
    assert torch.count_nonzero(positions.grad[[0, 2]]) == 0
    assert positions.grad.isfinite().all()


@every_term
def test_a_cost_looks_no_further_back_than_its_reach_and_never_ahead(term):
    frames_back = REWARD_TERMS[term].frames_back(FRAME_RATE_HZ)
    if frames_back is None or term in SCENE_TERMS:
        pytest.skip("a cost of the whole clip, or of what a simulator saw")
    positions = wild_motion(1)
    before = cost_map(term, positions)
    for frame in (0, 3, 9, FRAMES - 1):
        moved = positions.clone()
        moved[:, frame] += 1.7
        touched = (cost_map(term, moved) != before).any(dim=2)[0].nonzero().flatten().tolist()
        assert all(frame <= booked <= frame + frames_back for booked in touched)


@every_term
def test_every_term_punishes_a_wild_or_a_frozen_motion(term):
    costs = cost(term, torch.cat((wild_motion(1), at_rest())), evidence=spoiled(2))
    assert costs.max() > 0


@every_term
def test_the_precision_of_the_positions_is_kept(term):
    assert cost(term, wild_motion(2)).dtype == torch.float64


@pytest.mark.parametrize("term", sorted(set(REWARD_TERMS) - set(LAZINESS_TERMS + IMITATION_TERMS)))
def test_a_robot_at_rest_costs_nothing_unless_the_term_is_about_laziness(term):
    assert cost(term, at_rest()).item() == 0


@pytest.mark.parametrize("term", LAZINESS_TERMS)
def test_a_robot_at_rest_costs_one_where_the_term_is_about_laziness(term):
    assert cost(term, at_rest()).item() == pytest.approx(1)


@pytest.mark.parametrize("term", ["jerk", "acceleration", "acceleration_limit", "gripper_chatter"])
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


@every_term
def test_the_frame_rate_does_not_matter_for_the_same_motion_in_seconds(term):
    """Four seconds of a smooth motion that is too fast, too wide and opens and closes its grippers."""

    def swinging(frame_rate_hz):
        time = torch.arange(int(4 * frame_rate_hz) + 1, dtype=torch.float64)[:, None] / frame_rate_hz
        arms = 2.0 * torch.cos(2.2 * time)
        grippers = 0.5 + 0.5 * torch.cos(9.0 * time)
        evidence = Evidence(
            start_joints=middle_pose()[None],
            path_length=torch.tensor([400.0], dtype=torch.float64),
            demonstration=middle_pose() + torch.sin(time)[None],
            arm_clearance_m=(0.015 + 0.01 * torch.cos(time))[None],
            cycle_error=(0.2 + 0.1 * torch.sin(time)).T,
            progress=torch.tensor([0.3], dtype=torch.float64),
        )
        positions = torch.where(LIMITS.is_gripper, grippers, middle_pose() + arms)[None]
        return cost(term, positions, evidence=evidence, frame_rate_hz=frame_rate_hz).item()

    coarse, fine = swinging(100.0), swinging(200.0)
    assert fine > 0
    assert coarse == pytest.approx(fine, rel=0.03)


def test_the_motion_floor_costs_one_at_rest_and_nothing_from_half_the_expected_path_on():
    start, motion = uniform_motion()[:, :1], uniform_motion() - uniform_motion()[:, :1]
    costs = [cost("motion_floor", start + share * motion).item() for share in (0, 0.25, 0.5, 1, 2)]
    assert costs == pytest.approx([1, 0.25, 0, 0, 0])
    costs = [cost("path_ratio", start + share * motion).item() for share in (0, 0.5, 1, 2)]
    assert costs == pytest.approx([1, 0.25, 0, 1])


def test_a_demonstration_is_missed_by_the_mean_square_of_the_arms_distance():
    shown = uniform_motion()
    aside = shown + torch.where(LIMITS.is_gripper, 0.0, 0.3)
    weight_of_arms = 12 / (12 + 2 * 0.2)
    assert cost("demonstrated_motion", aside).item() == pytest.approx(0.09 * weight_of_arms)
    late = shown.roll(1, dims=1)
    late[:, 0] = shown[:, 0]
    assert 0 < cost("demonstrated_motion", late) < cost("demonstrated_motion", at_rest())


@every_term
def test_a_term_judges_by_what_it_needs_and_names_what_is_missing(term):
    row = REWARD_TERMS[term]
    needed = {name: getattr(flawless(), name) for name in row.needs}
    assert cost(term, uniform_motion(), evidence=Evidence(**needed)).item() == pytest.approx(0)
    for missing in row.needs:
        with pytest.raises(MissingEvidenceError, match=rf"{term} needs evidence\.{missing}"):
            cost(term, uniform_motion(), evidence=Evidence(**needed | {missing: None}))
