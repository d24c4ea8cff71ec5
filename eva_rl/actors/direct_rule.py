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
from eva_rl.records.rollout import RolloutGroup
from eva_rl.rl.direct import denoise_from, direct_loss
from eva_rl.rl.group_loss import GroupLoss
from eva_rl.rl.log_prob import free_mean
from eva_rl.world_model.lora import reference_policy
from eva_rl.world_model.world_model import WorldModel


class DirectRule:
    """One pass: the rollouts' last denoising steps are walked again with gradient (DRaFT, arXiv 2309.17400).

    The learner holds codec and inverse dynamics model, both frozen; the gradient of a model that reads
    latents passes no codec. Grippers are decided by a threshold,
    which has no gradient: only the arms' motion is learned from. The reward that is climbed is the scorer's
    own, so watch a judge that is not: this is the shortest way to pixels that fool one model.

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
        self._reward = reward_of(settings, penalty_scale=1.0)

    def prepare(self, calibration: Calibration) -> None:
        """Sets P0 of the reward."""
        self._reward = reward_of(self._settings, penalty_scale=calibration.penalty_scale)

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
        """Minus the mean reward of each group as a share of the best, plus the distance to the reference."""
        return [self._loss(group, network) for group in groups]

    def _loss(self, group: RolloutGroup, network: nn.Module) -> GroupLoss:
        if group.kept is None:
            raise ValueError(
                f"{group.condition_id} keeps no latents to restart from: sample with algorithm.loss = direct"
            )
        kept = group.kept.to(self._world_model.device)
        free_frames = self._world_model.free_frames(kept.latents)
        velocities: list[Tensor] = []

        def flow_velocity(latents: Tensor, sigma: float) -> Tensor:
            velocities.append(self._velocity(group, latents, sigma, network))
            return velocities[-1]

        clean = denoise_from(flow_velocity, kept, sigmas=group.sigmas, free_frames=free_frames)
        positions = read_generated(self._idm, clean, decode=self._world_model.decode).cpu()
        breakdown = self._reward(positions, evidence=known_evidence(group.condition.condition))
        kl = self._distance(group, velocities[0], network, free_frames)
        return direct_loss(
            breakdown.rewards / self._reward.form.scale,
            breakdown.judged,
            kl=kl,
            kl_beta=self._settings.algorithm.kl_beta,
        )

    def _velocity(self, group: RolloutGroup, latents: Tensor, sigma: float, network: nn.Module) -> Tensor:
        return conditioned_velocity(
            self._world_model,
            [group.condition],
            latents,
            sigma,
            rows_per_condition=[len(latents)],
            sampling=self._settings.sampling,
            network=network,
        )

    def _distance(
        self, group: RolloutGroup, velocity: Tensor, network: nn.Module, free_frames: Tensor
    ) -> Float[Tensor, ""]:
        """Mean squared distance of the flow velocities where the steps were resumed."""
        if self._settings.algorithm.kl_beta == 0 or group.kept is None:
            return torch.zeros(())
        kept = group.kept.to(self._world_model.device)
        with torch.no_grad(), reference_policy(self._world_model.transformer):
            reference = self._velocity(group, kept.latents, group.sigmas[kept.index], network)
        return free_mean((velocity - reference) ** 2, free_frames=free_frames).mean().cpu()
