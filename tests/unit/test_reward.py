import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from eva_rl.embodiments import EMBODIMENTS
from eva_rl.rewards.evidence import Evidence
from eva_rl.rewards.reward import REWARD_PRESETS, KinematicReward, RewardForm, calibrate_p0

FRAMES, FRAME_RATE_HZ = 49, 16.0
GRIPPERS = (6, 13)
PAPER = REWARD_PRESETS["eva-paper"]


def reward_of(form=PAPER, dtype=torch.float64):
    """EVA's development setting: PiPER speeds at 16 frames per second."""
    return KinematicReward.of(EMBODIMENTS["piper"], form, frame_rate_hz=FRAME_RATE_HZ, dtype=dtype)


def static(members=1):
    return torch.zeros(members, FRAMES, 14, dtype=torch.float64)


def white(size, *, members=20, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return size * torch.randn(members, FRAMES, 14, generator=generator, dtype=torch.float64)


def minimum_jerk(amplitude):
    share = torch.linspace(0, 1, FRAMES, dtype=torch.float64)
    positions = static()
    positions[0] = (amplitude * share**3 * (10 - 15 * share + 6 * share**2))[:, None]
    positions[..., GRIPPERS] = 0.0
    return positions


def closing_grippers(num_frames):
    positions = minimum_jerk(1.0)
    closing = ((torch.arange(FRAMES) - 20) / num_frames).clamp(0, 1)
    positions[..., GRIPPERS] = (1 - closing).double()[:, None]
    return positions


def jump(joints, size):
    positions = static()
    positions[:, 24:, joints] = size
    return positions


def glitch():
    positions = static()
    positions[:, 24, 0] = 0.3
    return positions


# clip, score, penalty, its jerk part, its two limit parts together: the form of arXiv 2603.17808 with the
# numbers of RobbinW/large-video-planner flow_grpo/idm_reward.py
EVA_SCORES = {
    "static": (static(), 10.00, 0, 0, 0),
    "reach 0.4 rad": (minimum_jerk(0.4), 10.00, 0.04, 0.03, 0),
    "reach 2.5 rad": (minimum_jerk(2.5), 10.00, 1.4, 1.27, 0),
    "grippers close in 12 frames": (closing_grippers(12), 9.92, 34, 34, 0.2),
    "grippers close in 8 frames": (closing_grippers(8), 9.87, 54, 53, 0.7),
    "grippers close in 5 frames": (closing_grippers(5), 9.78, 90, 88, 2),
    "grippers close in 3 frames": (closing_grippers(3), 9.63, 157, 149, 8),
    "one joint jumps 1 rad": (jump(0, 1.0), 8.47, 790, 572, 217),
    "left arm jumps 0.5 rad": (jump(slice(0, 6), 0.5), 7.05, 2025, 1711, 312),
    "one joint glitches 0.3 rad": (glitch(), 9.13, 398, 342, 56),
}


@pytest.mark.parametrize("clip", EVA_SCORES)
def test_the_paper_preset_reproduces_evas_scores(clip):
    positions, score, penalty, jerk, limits = EVA_SCORES[clip]
    breakdown = reward_of()(positions)
    assert breakdown.rewards.item() == pytest.approx(score, abs=0.005)
    assert breakdown.penalties.item() == pytest.approx(penalty, rel=2e-3, abs=0.5)
    assert breakdown.terms["jerk"].item() == pytest.approx(jerk, abs=0.5)
    over = breakdown.terms["velocity_limit"] + breakdown.terms["acceleration_limit"]
    assert over.item() == pytest.approx(limits, abs=0.5)


def test_a_static_clip_with_white_noise_scores_eight():
    assert reward_of()(white(0.005)).rewards.mean().item() == pytest.approx(8.00, abs=0.03)


# The same for honest motion with reading noise of this size on every dimension, means of 20 draws.
EVA_NOISE_SCORES = {0.001: 9.80, 0.002: 9.34, 0.005: 7.99, 0.01: 6.60, 0.02: 5.08, 0.05: 3.42, 0.1: 2.37}


@pytest.mark.parametrize("size", EVA_NOISE_SCORES)
def test_the_paper_preset_is_a_meter_of_white_noise(size):
    """The one-radian jump above scores more than honest motion that is read with 0.005 rad of noise."""
    breakdown = reward_of()(minimum_jerk(1.0) + white(size))
    assert breakdown.rewards.mean().item() == pytest.approx(EVA_NOISE_SCORES[size], rel=0.015)
    assert (breakdown.terms["jerk"] / breakdown.penalties > 0.85).all()


def reference_formula(positions):
    """The paper's formula written once more, in numpy, for one clip."""
    dt = 1 / FRAME_RATE_HZ
    arm = np.radians([180, 195, 180, 225, 225, 225]) * 0.85
    v_max = np.concatenate([arm, [2.0], arm, [2.0]])
    a_max = np.full(14, 5.0)
    weights = np.ones(14)
    a_max[list(GRIPPERS)], weights[list(GRIPPERS)] = 10.0, 0.2
    weights /= weights.mean()
    v = np.diff(positions, axis=0) / dt
    a = np.diff(v, axis=0) / dt
    j = np.diff(a, axis=0) / dt

    def huber(x, d):
        return np.where(np.abs(x) <= d, 0.5 * x**2, d * (np.abs(x) - 0.5 * d))

    penalty = (
        0.5 * (weights * huber(j, 0.5 * a_max / dt)).mean()
        + 0.25 * (weights * huber(a, 0.5 * a_max)).mean()
        + 2.0 * (weights * np.maximum(np.abs(v) - v_max, 0) ** 2).mean()
        + 1.0 * (weights * np.maximum(np.abs(a) - a_max, 0) ** 2).mean()
    )
    return 10 * (1 + penalty / 2000) ** -0.5


@pytest.mark.parametrize("size", [0.001, 0.02, 0.3, 2.0])
def test_rewards_equal_an_independent_formula(size):
    positions = white(size, members=8, seed=3)
    expected = [reference_formula(clip) for clip in positions.numpy()]
    np.testing.assert_allclose(reward_of()(positions).rewards.numpy(), expected, rtol=1e-6)
    single = reward_of(dtype=torch.float32)(positions.float())
    np.testing.assert_allclose(single.rewards.numpy(), expected, rtol=1e-4)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_terms_add_up_to_the_penalty_exactly(dtype):
    breakdown = reward_of(dtype=dtype)(white(0.05).to(dtype))
    assert list(breakdown.terms) == list(PAPER.weights)
    assert torch.equal(sum(breakdown.terms.values()), breakdown.penalties)


def test_a_term_of_weight_zero_is_not_computed():
    form = replace(PAPER, weights={**PAPER.weights, "start_pose": 0.0})
    assert "start_pose" not in reward_of(form)(static()).terms


def test_a_form_without_weights_rewards_everything_fully():
    assert reward_of(replace(PAPER, weights={}))(white(1.0)).rewards.unique().tolist() == [10.0]


def test_worse_motion_never_earns_more():
    rewards = [reward_of()(white(size)).rewards.mean().item() for size in (0, 0.001, 0.01, 0.1, 1)]
    assert rewards == sorted(rewards, reverse=True)
    assert rewards[0] == 10
    assert rewards[-1] > 0


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_positions_that_are_not_finite_are_not_judged_and_do_not_move_their_siblings(bad):
    positions = white(0.01, members=4)
    whole = reward_of()(positions)
    spoiled = positions.clone()
    spoiled[2, 5, 3] = bad
    breakdown = reward_of()(spoiled)
    kept = [0, 1, 3]
    assert breakdown.judged.tolist() == [True, True, False, True]
    assert torch.equal(breakdown.rewards[kept], whole.rewards[kept])
    assert breakdown.rewards[2].isnan()
    assert breakdown.penalties[2].isnan()
    assert all(torch.equal(breakdown.terms[name][kept], whole.terms[name][kept]) for name in whole.terms)
    assert all(values[2].isnan() for values in breakdown.terms.values())


def test_the_reward_can_be_climbed_by_its_gradient():
    positions = white(0.02, members=2).requires_grad_()
    before = reward_of()(positions).rewards
    before.sum().backward()
    after = reward_of()(positions + 1e-6 * positions.grad).rewards
    assert (after > before).all()


def test_terms_beyond_the_paper_take_their_weight_and_their_evidence():
    form = replace(PAPER, weights={**PAPER.weights, "start_pose": 1000.0, "motion_floor": 500.0})
    evidence = Evidence(start_joints=static()[:, 0] + 0.1, path_length=torch.tensor([2.0]).double())
    breakdown = reward_of(form)(static(3), evidence=evidence)
    assert breakdown.terms["start_pose"].tolist() == pytest.approx([10.0] * 3)
    assert breakdown.terms["motion_floor"].tolist() == pytest.approx([500.0] * 3)


def test_the_median_reference_rollout_earns_the_middle_of_the_scale():
    penalties = reward_of()(white(0.01, members=21)).penalties
    calibrated = reward_of(replace(PAPER, p0=calibrate_p0(penalties)))(white(0.01, members=21))
    assert calibrated.rewards.median().item() == pytest.approx(10 / math.sqrt(2))


def test_calibration_leaves_out_what_was_not_judged():
    nan = float("nan")
    assert calibrate_p0(torch.tensor([nan, 3.0, 1.0, nan, 2.0])) == 2.0


@pytest.mark.parametrize("penalties", [[float("nan")] * 3, [0.0, 0.0, 5.0]])
def test_calibration_on_nothing_is_refused(penalties):
    with pytest.raises(ValueError, match="p0 must be a positive finite penalty"):
        calibrate_p0(torch.tensor(penalties))


def test_wrong_settings_are_named():
    with pytest.raises(ValueError, match="'jerkk' is unknown; the nearest is 'jerk'"):
        RewardForm(weights={"jerkk": 1.0}, p0=1.0, gamma=0.5, scale=10.0)
    with pytest.raises(ValueError, match="weight of reward term 'jerk' must be at least 0"):
        RewardForm(weights={"jerk": -1.0}, p0=1.0, gamma=0.5, scale=10.0)
    with pytest.raises(ValueError, match="p0 of the reward must be positive, got 0"):
        RewardForm(weights={}, p0=0.0, gamma=0.5, scale=10.0)


@pytest.mark.parametrize(("share", "paper", "limits_first"), [(0.8, False, False), (0.95, False, True)])
def test_limits_first_warns_before_the_limit_is_passed(share, paper, limits_first):
    acceleration = share * EMBODIMENTS["piper"].acceleration[0]
    positions = static()
    positions[..., 0] = acceleration / 2 * (torch.arange(FRAMES) / FRAME_RATE_HZ) ** 2
    for name, costs in (("eva-paper", paper), ("limits-first", limits_first)):
        cost = reward_of(replace(REWARD_PRESETS[name], velocity_scale=10.0))(positions)
        assert bool(cost.terms["acceleration_limit"].item() > 0) is costs


def test_a_doubtful_gripper_costs_little_by_little_and_never_by_a_limit():
    reward = reward_of(REWARD_PRESETS["limits-only"]).for_soft_grippers(5.0)
    openness = torch.tensor([1.0, 0.9, 0.6, 0.4, 0.0], dtype=torch.float64)
    positions = static(members=5) + 1.0 * (torch.arange(14) == GRIPPERS[0])
    positions[:, 20, GRIPPERS[0]] = openness
    penalties = reward(positions).penalties
    assert penalties[0] == 0
    assert (penalties.diff() > 0).all()
    assert penalties[-1] < 1 < reward_of(REWARD_PRESETS["limits-only"])(positions).penalties[-1]


def test_soft_grippers_leave_the_arms_limits_as_they_are():
    form = REWARD_PRESETS["limits-only"]
    positions = jump(joints=[2], size=1.0)
    expected = reward_of(form)(positions)
    assert expected.penalties.max() > 0
    torch.testing.assert_close(
        reward_of(form).for_soft_grippers(5.0)(positions).penalties, expected.penalties
    )


def test_a_demonstration_inside_the_limits_is_the_best_motion_and_the_gradient_leads_to_it():
    reward, shown = reward_of(REWARD_PRESETS["limits-and-demonstration"]), minimum_jerk(1.0)
    known = Evidence(demonstration=shown)
    positions = torch.cat([share * shown for share in (0.0, 0.5, 0.9, 1.0, 1.1)]).requires_grad_()
    rewards = reward(positions, evidence=known).rewards
    assert rewards.argmax() == 3
    assert rewards[3].item() == pytest.approx(10.0)
    assert (rewards[:4].diff() > 0).all()
    rewards.sum().backward()
    towards = (positions.grad * (shown - positions)).sum(dim=(1, 2))
    assert (towards[[0, 1, 2, 4]] > 0).all()


def test_a_demonstration_beyond_the_limits_is_no_excuse_for_passing_them():
    reward, shown = reward_of(REWARD_PRESETS["limits-and-demonstration"]), jump(joints=[2], size=1.0)
    found = reward(shown, evidence=Evidence(demonstration=shown))
    assert found.terms["demonstrated_motion"].item() == 0
    assert found.terms["acceleration_limit"].item() > 1
