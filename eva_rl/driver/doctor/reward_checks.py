"""Does the reward point the right way? Motions that must cost, beside recorded ones."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from eva_rl.driver.doctor.check import Finding
from eva_rl.driver.doctor.evidence import RewardEvidence
from eva_rl.rewards.evidence import Evidence
from eva_rl.rewards.reward import KinematicReward
from eva_rl.rewards.terms import REWARD_TERMS, SMOOTHNESS_TERMS

JITTER_RAD = 0.02
"""Standard deviation of the jitter: less than half of what EVA's own test calls an accurate reading."""
EXCESS = 2.0
"""How many times over a limit the violating motion goes."""
STRICTLY = 1e-6
"""Smallest change that counts, as a share of the reward's scale: above float32's rounding."""
LIMIT_TERMS = ("velocity_limit", "acceleration_limit", "position_limit")
FLOOR_TERMS = ("motion_floor", "path_ratio")


def jitter_costs(evidence: RewardEvidence) -> Finding:
    """Adds white noise to the arm joints of recorded motions; a reward that counts smoothness must fall."""
    reward = _kinematic(evidence.reward)
    if not _has_weight(reward, SMOOTHNESS_TERMS) and _has_weight(reward, LIMIT_TERMS):
        return Finding(
            figure=None, note="only limits have a weight: motion within them may be as rough as it is"
        )
    noise = torch.randn(evidence.positions.shape, generator=torch.Generator().manual_seed(0))
    jittery = evidence.positions + JITTER_RAD * noise * ~reward.limits.is_gripper
    change = reward(jittery).rewards - reward(evidence.positions).rewards
    return _must_fall(reward, change, note=f"{JITTER_RAD:g} rad of jitter, {len(change)} recorded motions")


def limit_violation_costs(evidence: RewardEvidence) -> Finding:
    """Sends every joint past its limits in one frame; counting the limits must lower every reward."""
    reward = _kinematic(evidence.reward)
    limits = reward.limits
    rate = reward.frame_rate_hz
    excursion = EXCESS * torch.maximum(limits.velocity / rate, limits.acceleration / rate**2)
    violating = evidence.positions.clone()
    violating[:, violating.shape[1] // 2] += excursion.where(~limits.is_gripper, 0)
    change = reward(violating).rewards - reward.without(*LIMIT_TERMS)(violating).rewards
    return _must_fall(reward, change, note=f"{EXCESS:g} times the limits, in one frame")


def frozen_arm_gains_nothing(evidence: RewardEvidence) -> Finding:
    """Compares an arm that never leaves its start with the recorded motion, where a floor is set."""
    reward = evidence.reward
    if not _has_weight(reward, FLOOR_TERMS):
        return Finding(
            figure=None,
            note="neither motion_floor nor path_ratio has a weight: an arm that does not move scores best",
        )
    in_scene = [
        name
        for name, term in REWARD_TERMS.items()
        if set(term.needs) - {"start_joints", "path_length", "demonstration"}
    ]
    reward, positions = reward.without(*in_scene), evidence.positions
    arms = positions[..., ~reward.limits.is_gripper]
    known = Evidence(
        start_joints=positions[:, 0],
        path_length=arms.diff(dim=1).abs().sum(dim=(1, 2)).clamp_min(1e-3),
        demonstration=positions,
    )
    frozen = positions[:, :1].expand_as(positions)
    change = reward(frozen, evidence=known).rewards - reward(positions, evidence=known).rewards
    return _must_fall(reward, change, note="frozen at the start, against the recorded motion")


def _has_weight(reward: KinematicReward, names: Sequence[str]) -> bool:
    return any(reward.form.weights.get(name, 0) > 0 for name in names)


def _must_fall(reward: KinematicReward, change: Float[Tensor, " clips"], *, note: str) -> Finding:
    """The largest change of all clips, so that one that does not fall is not averaged away."""
    high = -STRICTLY * reward.form.scale
    return Finding(figure=float(change.max()), allowed=(-reward.form.scale, high), unit="reward", note=note)


def _kinematic(reward: KinematicReward) -> KinematicReward:
    """The terms that judge the motion alone, without a scene or a demonstration."""
    return reward.without(*(name for name, term in REWARD_TERMS.items() if term.needs))
