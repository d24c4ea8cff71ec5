"""The scorer: rollouts in, rewards of the joint motion they show out."""

import time
from dataclasses import replace

import torch

from eva_rl.config.align import AlignSettings
from eva_rl.embodiments import EMBODIMENTS
from eva_rl.idm.network import InverseDynamicsModel
from eva_rl.records.condition import Condition
from eva_rl.records.reward import ScoredGroup
from eva_rl.records.rollout import RolloutGroup
from eva_rl.rewards.expected import ExpectedMotion
from eva_rl.rewards.motion import JointMotion
from eva_rl.rewards.reward import REWARD_PRESETS, KinematicReward
from eva_rl.world_model.latent_codec import LatentCodec


def reward_of(settings: AlignSettings, *, penalty_scale: float) -> KinematicReward:
    """The reward that the settings describe.

    Args:
        settings: preset, weights, robot and frame rate.
        penalty_scale: P0 of the reward.
    """
    preset = REWARD_PRESETS[settings.reward.preset]
    form = replace(preset, weights={**preset.weights, **settings.reward.term_weights}, p0=penalty_scale)
    return KinematicReward.of(
        EMBODIMENTS[settings.robot.embodiment], form, frame_rate_hz=settings.video.frame_rate_hz
    )


class Scorer:
    """Decodes rollouts, reads joint motion from them, rewards it. Ray wraps this plain class in `pool.py`.

    Consumes rollout groups; waits for nothing; produces one reward and its terms per rollout.
    """

    def __init__(self, settings: AlignSettings, world_model_directory: str, idm_directory: str) -> None:
        torch.set_num_threads(settings.scorers.num_threads)
        self._settings = settings
        self._device = "cuda" if torch.cuda.is_available() else "cpu"
        self._codec = LatentCodec.from_directory(world_model_directory, device=self._device)
        self._idm = InverseDynamicsModel.from_directory(idm_directory).to(self._device)
        self._idm.architecture.check_frame_period(settings.video.frame_period_s)
        self._reward = reward_of(settings, penalty_scale=1.0)

    def set_penalty_scale(self, penalty_scale: float) -> None:
        """Sets P0 of the reward."""
        self._reward = reward_of(self._settings, penalty_scale=penalty_scale)

    @torch.no_grad()
    def score(self, *groups: RolloutGroup) -> list[ScoredGroup]:
        """Rewards every rollout of the groups; a rollout that cannot be judged is marked, never guessed."""
        return [self._score_group(group) for group in groups]

    def _score_group(self, group: RolloutGroup) -> ScoredGroup:
        started = time.perf_counter()
        frames = self._codec.decode(group.final_latents.to(self._device))
        positions = self._idm.decode_positions(frames).cpu()
        breakdown = self._reward(positions, expected=_expected_motion(group.condition.condition))
        motion = JointMotion.from_positions(positions, self._reward.frame_rate_hz)
        return ScoredGroup(
            condition_id=group.condition_id,
            adapter=group.adapter,
            breakdown=breakdown,
            path_lengths=motion.path_lengths(self._reward.limits.is_gripper),
            generation_s=group.generation_s,
            scoring_s=time.perf_counter() - started,
        )


def _expected_motion(condition: Condition) -> ExpectedMotion:
    """What the condition says about an honest motion, for the terms beyond the paper."""
    path = condition.demonstrated_path_rad
    return ExpectedMotion(
        start_joints=torch.tensor(condition.start_joints)[None],  # a copy: Ray's arrays are read-only
        path_length=None if path is None else torch.tensor([path]),
    )
