"""Direct reward backpropagation: the reward's own gradient, through IDM, codec and the last steps."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from eva_rl.actors.conditioned_velocity import conditioned_velocity
from eva_rl.actors.evidence import known_evidence
from eva_rl.actors.reward_setup import reward_of
from eva_rl.config.align import AlignSettings
from eva_rl.idm.kinds import open_idm, read_generated
from eva_rl.records.calibration import Calibration
from eva_rl.records.rollout import KeptLatents, RolloutGroup
from eva_rl.rewards.reward import KinematicReward
from eva_rl.rl.direct import denoise_from, direct_loss
from eva_rl.rl.group_loss import GroupLoss
from eva_rl.rl.log_prob import free_mean
from eva_rl.world_model.lora import reference_policy
from eva_rl.world_model.world_model import WorldModel


class DirectRule:
    """One pass: the rollouts' last denoising steps are walked again with gradient (DRaFT, arXiv 2309.17400).

    The learner holds codec and inverse dynamics model, both frozen; the gradient of a model that reads
    latents passes no codec. The reward that is climbed is the scorer's own, so watch a judge that is not:
    this is the shortest way to pixels that fool one model. Only grippers are another matter: a threshold
    decides them and has no gradient, so with `algorithm.soft_gripper_weight` the learner looks at how
    probably they are open.

    Args:
        settings: of the run.
        world_model: holds the policy; its adapter is switched off for the reference.
        idm_directory: inverse dynamics model.
    """

    num_passes = 1

    def __init__(self, settings: AlignSettings, world_model: WorldModel, idm_directory: str) -> None:
        self._settings = settings
        self._world_model = world_model
        self._idm = open_idm(idm_directory).to(world_model.device)
        self._idm.requires_grad_(False)
        self._reward = self._reward_at(penalty_scale=1.0)

    def prepare(self, calibration: Calibration) -> None:
        """Sets P0 of the reward."""
        self._reward = self._reward_at(penalty_scale=calibration.penalty_scale)

    def begin_batch(self, *, behaviour: Float[Tensor, " values"] | None) -> None:
        """Keeps nothing between batches."""

    def losses(
        self,
        groups: Sequence[RolloutGroup],
        advantages: Float[Tensor, "groups members *cells"],
        *,
        pass_index: int,
        network: nn.Module,
    ) -> list[GroupLoss]:
        """Minus the mean reward of each group as a share of the best, plus the distance to the reference.

        All rollouts go through network, codec and inverse dynamics model at once.
        """
        kept = _kept_of(groups).to(self._world_model.device)
        free_frames = self._world_model.free_frames(kept.latents)
        velocities: list[Tensor] = []

        def flow_velocity(latents: Tensor, sigma: float) -> Tensor:
            velocities.append(self._velocity(groups, latents, sigma, network))
            return velocities[-1]

        clean = denoise_from(flow_velocity, kept, sigmas=groups[0].sigmas, free_frames=free_frames)
        positions = read_generated(
            self._idm,
            clean,
            decode=self._world_model.decode,
            softly=self._settings.algorithm.soft_gripper_weight > 0,
        ).cpu()
        distances = self._distances(groups, kept, velocities[0], network=network, free_frames=free_frames)
        sizes = _sizes(groups)
        return [
            self._loss(group, *of_group)
            for group, *of_group in zip(groups, positions.split(sizes), distances.split(sizes), strict=True)
        ]

    def _reward_at(self, *, penalty_scale: float) -> KinematicReward:
        reward = reward_of(self._settings, penalty_scale=penalty_scale)
        weight = self._settings.algorithm.soft_gripper_weight
        return reward.for_soft_grippers(weight) if weight > 0 else reward

    def _loss(self, group: RolloutGroup, positions: Tensor, distances: Tensor) -> GroupLoss:
        breakdown = self._reward(positions, evidence=known_evidence(group.condition.condition))
        return direct_loss(
            breakdown.rewards / self._reward.form.scale,
            breakdown.judged,
            kl=distances.mean(),
            kl_beta=self._settings.algorithm.kl_beta,
        )

    def _velocity(
        self, groups: Sequence[RolloutGroup], latents: Tensor, sigma: float, network: nn.Module
    ) -> Tensor:
        return conditioned_velocity(
            self._world_model,
            [group.condition for group in groups],
            latents,
            sigma,
            rows_per_condition=_sizes(groups),
            sampling=self._settings.sampling,
            network=network,
        )

    def _distances(
        self,
        groups: Sequence[RolloutGroup],
        kept: KeptLatents,
        velocity: Tensor,
        *,
        network: nn.Module,
        free_frames: Tensor,
    ) -> Float[Tensor, " rollouts"]:
        """Mean squared distance of the flow velocities where the steps were resumed."""
        if self._settings.algorithm.kl_beta == 0:
            return torch.zeros(len(velocity))
        with torch.no_grad(), reference_policy(self._world_model.transformer):
            reference = self._velocity(groups, kept.latents, groups[0].sigmas[kept.index], network)
        return free_mean((velocity - reference) ** 2, free_frames=free_frames).cpu()


def _kept_of(groups: Sequence[RolloutGroup]) -> KeptLatents:
    """Where the rollouts of all groups restart from, one row per rollout."""
    found = [(group, group.kept) for group in groups]
    if missing := [group.condition_id for group, kept in found if kept is None]:
        raise ValueError(
            f"{', '.join(missing)} keep no latents to restart from: sample with algorithm.loss = direct"
        )
    kept = [
        KeptLatents(index=kept.index, latents=kept.latents.expand(len(group.final_latents), -1, -1, -1, -1))
        for group, kept in found
        if kept is not None
    ]
    return KeptLatents(index=kept[0].index, latents=torch.cat([one.latents for one in kept]))


def _sizes(groups: Sequence[RolloutGroup]) -> list[int]:
    return [len(group.final_latents) for group in groups]
