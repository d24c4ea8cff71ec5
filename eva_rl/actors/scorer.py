"""The scorer: rollouts in, rewards of the joint motion they show out."""

import logging
import time
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from eva_rl.actors.credit_map import sites_from_gradient
from eva_rl.actors.evidence import known_evidence, scene_evidence
from eva_rl.actors.group_observer import GroupObserver
from eva_rl.actors.reward_setup import reward_of
from eva_rl.actors.rollout_clips import RolloutClips
from eva_rl.actors.scene_view import SceneView
from eva_rl.actors.verdict import Verdict, abstention, reasons_of
from eva_rl.config.align import AlignSettings
from eva_rl.embodiments import EMBODIMENTS
from eva_rl.idm.kinds import check_codec, open_idm, read_generated
from eva_rl.records.reward import ScoredGroup
from eva_rl.records.rollout import RolloutGroup
from eva_rl.rewards.evidence import MissingEvidenceError
from eva_rl.rewards.motion import JointMotion
from eva_rl.world_model.latent_codec import LatentCodec
from eva_rl.world_model.layout import read_layout
from eva_rl.world_model.part_hashes import hash_codec

logger = logging.getLogger(__name__)


class UnreadableRolloutsError(ValueError):
    """Rollouts of a group that cannot be read as a whole."""


class Scorer:
    """Reads joint motion from rollouts and rewards it; decodes frames if anything reads them.

    Ray wraps this plain class in `pool.py`.

    Consumes rollout groups; waits for nothing; produces one reward and its terms per rollout.
    """

    def __init__(self, settings: AlignSettings, world_model_directory: str, idm_directory: str) -> None:
        torch.set_num_threads(settings.scorers.num_threads)
        self._settings = settings
        self._device = "cuda" if torch.cuda.is_available() else "cpu"
        self._world_model_directory = world_model_directory
        self._frames_per_latent = read_layout(world_model_directory, settings.world_model).temporal_stride
        self._idm = open_idm(idm_directory).to(self._device)
        self._idm.architecture.check_frame_period(settings.video.frame_period_s)
        self._observer = GroupObserver(settings, device=self._device)
        check_codec(self._idm, self._hash_codec)
        self._observer.check_codec(self._hash_codec)
        if self._idm.reads == "latents" and not self._observer.looks_at_frames:
            logger.warning(
                "The inverse dynamics model reads latents and nothing else looks at frames: the alarms "
                "frozen_video, vanished_arm and link_length_drift are silent; "
                "reward.rerendered_per_group above 0 wakes them where there is a simulator scene"
            )
        self._reward = reward_of(settings, penalty_scale=1.0)

    @cached_property
    def _codec(self) -> LatentCodec:
        """The codec, opened when frames are first needed."""
        return LatentCodec.from_directory(
            self._world_model_directory, device=self._device, settings=self._settings.world_model
        )

    def _decode(self, latents: Tensor) -> Tensor:
        return self._codec.decode(latents)

    def _hash_codec(self) -> str:
        return hash_codec(self._world_model_directory)

    def set_penalty_scale(self, penalty_scale: float) -> None:
        """Sets P0 of the reward."""
        self._reward = reward_of(self._settings, penalty_scale=penalty_scale)

    def arm_sites(self, *groups: RolloutGroup) -> Int[np.ndarray, "height width"]:
        """Which arms each latent site speaks for, from the gradient of the inverse dynamics model."""
        latents = torch.cat([group.final_latents for group in groups]).to(self._device)
        embodiment = EMBODIMENTS[self._settings.robot.embodiment]
        return sites_from_gradient(
            lambda leaf: read_generated(self._idm, leaf, decode=self._decode), embodiment, latents
        )

    @torch.no_grad()
    def score(self, *groups: RolloutGroup) -> list[ScoredGroup]:
        """Rewards every rollout of the groups; a rollout that cannot be judged is marked, never guessed.

        Raises:
            MissingEvidenceError: a weighted term judges by what nobody knows, a mistake in the settings.
            EvidenceUnavailableError: a weighted term needs a simulator that is not there.
        """
        return [self._score_group(group) for group in groups]

    def _score_group(self, group: RolloutGroup) -> ScoredGroup:
        started, started_cpu = time.perf_counter(), time.process_time()
        verdict = self._verdict(group)
        return ScoredGroup(
            condition_id=group.condition_id,
            adapter=group.adapter,
            batch=group.training_step,
            breakdown=verdict.breakdown,
            path_lengths=verdict.path_lengths,
            reasons=verdict.reasons,
            observations=verdict.observations,
            generation_s=group.generation_s,
            scoring_s=time.perf_counter() - started,
            generation_cpu_s=group.generation_cpu_s,
            scoring_cpu_s=time.process_time() - started_cpu,
            latent_hashes=group.latent_hashes(),
        )

    def _verdict(self, group: RolloutGroup) -> Verdict:
        """Judges a group, or abstains from it as a whole when models or simulator refuse its content."""
        try:
            return self._judge(group)
        except MissingEvidenceError:
            raise
        except ValueError as refusal:
            return abstention(
                len(group.final_latents),
                reason=f"{type(refusal).__name__}: {refusal}",
                terms=[name for name, weight in self._reward.form.weights.items() if weight > 0],
                cells_shape=(self._num_latent_frames, self._num_arms) if self._gives_cells else None,
            )

    def _judge(self, group: RolloutGroup) -> Verdict:
        self._check_shape(group)
        condition = group.condition.condition
        clips = RolloutClips(group.final_latents.to(self._device), decode=self._decode)
        positions = read_generated(self._idm, clips.latents, decode=lambda _: clips.frames).cpu()
        if not positions.isfinite().all(dim=(1, 2)).any():
            raise UnreadableRolloutsError("no rollout of the group has finite positions")
        view = SceneView.of(condition, self._settings)
        evidence = scene_evidence(
            known_evidence(condition),
            view,
            needs=self._reward.needs,
            clips=clips,
            positions=positions,
            condition_id=condition.condition_id,
        )
        breakdown = self._reward(
            positions,
            evidence=evidence,
            with_cells=self._gives_cells,
            frames_per_latent=self._frames_per_latent,
        )
        motion = JointMotion.from_positions(positions, self._reward.frame_rate_hz)
        return Verdict(
            breakdown=breakdown,
            path_lengths=motion.path_lengths(self._reward.limits.is_gripper),
            reasons=reasons_of(positions, breakdown),
            observations=self._observer.observe(
                clips, positions, view=view, reward=self._reward, evidence=evidence
            ),
        )

    def _check_shape(self, group: RolloutGroup) -> None:
        """Refuses latents that are not those of the settings' clips, before the codec stumbles over them."""
        channels, _, height, width = group.condition.first_latents.shape
        expected = (channels, self._num_latent_frames, height, width)
        if tuple(group.final_latents.shape[1:]) != expected:
            raise UnreadableRolloutsError(
                f"latents must have the shape [members, {', '.join(map(str, expected))}], got "
                f"{list(group.final_latents.shape)}"
            )

    @property
    def _num_latent_frames(self) -> int:
        return (self._settings.video.num_frames - 1) // self._frames_per_latent + 1

    @property
    def _num_arms(self) -> int:
        return int(self._reward.limits.arm_of_dimension.max()) + 1

    @property
    def _gives_cells(self) -> bool:
        return self._settings.algorithm.credit == "frames_and_arms"
