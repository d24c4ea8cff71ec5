"""The learner: rollout groups and their advantages in, a better adapter out."""

import math
import socket
from collections.abc import Sequence
from pathlib import Path

import ray
import torch
from jaxtyping import Float
from torch import Tensor

from eva_rl.actors.deepspeed_engine import Rendezvous, mean_over_ranks, start_engine, whole_parameters
from eva_rl.actors.generator import draw_group_noise
from eva_rl.actors.policy import chosen_steps, objective, open_policy
from eva_rl.actors.replay import replay_groups
from eva_rl.config.align import AlignSettings
from eva_rl.records.adapter import AdapterVersion, AdapterWeights, LearnerUpdate
from eva_rl.records.rollout import RolloutGroup
from eva_rl.rl.replay import ReplayLoss
from eva_rl.world_model.adapter_io import export_adapter, read_adapter

_ENGINE_TAG = "deepspeed"


class UnknownPolicyError(RuntimeError):
    """A rollout was made by an adapter that this learner never produced, or no longer accepts."""


class Learner:
    """One DeepSpeed rank. A plain class: Ray wraps it once, in `pool.py`.

    Consumes its share of a batch; waits for the other ranks; produces the next adapter version.
    """

    def __init__(self, settings: AlignSettings, world_model_directory: str) -> None:
        torch.set_num_threads(settings.learner.num_threads)
        self._settings = settings
        self._world_model = open_policy(settings, world_model_directory)
        if settings.learner.checkpoints_activations:
            self._world_model.pipeline.transformer.enable_gradient_checkpointing()
        self._training_step = 0
        self._known: list[AdapterVersion] = []

    def free_address(self) -> tuple[str, int]:
        """Address and free port of this rank's machine, where the ranks can meet."""
        address = ray.util.get_node_ip_address()
        with socket.socket() as listener:
            listener.bind((address, 0))
            return address, listener.getsockname()[1]

    def join(self, rendezvous: Rendezvous) -> AdapterWeights:
        """Joins the other ranks and returns the untouched adapter."""
        settings = self._settings
        share = settings.algorithm.groups_per_step // rendezvous.num_ranks
        num_trained_steps = len(chosen_steps(settings, training_step=0))
        self._engine = start_engine(
            self._world_model.transformer,
            settings.learner,
            rendezvous,
            num_micro_batches=share // settings.learner.groups_per_micro_batch * num_trained_steps,
            num_updates=settings.schedule.num_training_steps * settings.algorithm.inner_epochs,
        )
        self._is_first = rendezvous.rank == 0
        return self._new_version()

    def learn(
        self, advantages: Float[Tensor, "groups members"], *groups: RolloutGroup
    ) -> LearnerUpdate | None:
        """One training step on this rank's share of the batch.

        Args:
            advantages: [groups, members], 0 for rollouts that were not judged.
            groups: rollout groups in the same order.

        Returns:
            The update on rank 0, None on every other.

        Raises:
            UnknownPolicyError: when a group was made by an adapter that is unknown or too old.
        """
        for group in groups:
            self._check_policy(group)
        losses: list[ReplayLoss] = []
        learning_rate = self._engine.get_lr()[0]
        for _ in range(self._settings.algorithm.inner_epochs):
            losses += self._epoch(groups, advantages)
        self._training_step += 1
        weights = self._new_version()
        metrics = self._measure(losses) | {"learner/learning_rate": learning_rate}
        return LearnerUpdate(weights=weights, metrics=metrics) if self._is_first else None

    def save(self, directory: str) -> None:
        """Writes this rank's optimiser and adapter state; rank 0 also exports the adapter for diffusers."""
        state = {"training_step": self._training_step, "known": self._known}
        self._engine.save_checkpoint(
            directory, _ENGINE_TAG, client_state=state, exclude_frozen_parameters=True
        )
        self.export(str(Path(directory) / "adapter"))

    def load(self, directory: str) -> None:
        """Restores what `save` wrote."""
        _, state = self._engine.load_checkpoint(directory, _ENGINE_TAG, load_module_strict=False)
        self._training_step, self._known = state["training_step"], state["known"]

    def export(self, directory: str) -> None:
        """Writes the adapter for `pipe.load_lora_weights`; rank 0 writes, all ranks take part."""
        with whole_parameters(self._engine):
            if self._is_first:
                export_adapter(self._world_model.transformer, directory)

    def _epoch(self, groups: Sequence[RolloutGroup], advantages: Tensor) -> list[ReplayLoss]:
        """One pass over the batch; DeepSpeed updates after the last backward pass."""
        size, losses = self._settings.learner.groups_per_micro_batch, []
        for first in range(0, len(groups), size):
            part = slice(first, first + size)
            for position in range(len(groups[0].trained_steps)):
                replayed = replay_groups(
                    self._world_model,
                    groups[part],
                    advantages[part],
                    position=position,
                    objective=objective(self._settings),
                    network=self._engine,
                    draw_step_noise=self._draw_step_noise,
                )
                self._engine.backward(torch.stack([loss.loss for loss in replayed]).mean())
                self._grad_norm = self._gradient_norm()
                self._engine.step()
                losses += replayed
        return losses

    def _draw_step_noise(self, group: RolloutGroup, denoising_step: int) -> Tensor:
        noise = draw_group_noise(
            self._settings, group.condition, seeds=[group.seed], training_step=group.training_step
        )
        return noise.steps[denoising_step][0].to(self._world_model.device)

    def _check_policy(self, group: RolloutGroup) -> None:
        ahead = self._settings.schedule.rollouts_ahead
        accepted = [
            version for version in self._known if version.training_step >= self._training_step - ahead
        ]
        if group.adapter not in accepted:
            raise UnknownPolicyError(
                f"{group.condition_id} was made by {group.adapter}; at training step {self._training_step} "
                f"with schedule.rollouts_ahead = {ahead} only {accepted} are accepted"
            )

    def _new_version(self) -> AdapterWeights:
        with whole_parameters(self._engine):
            weights = read_adapter(self._world_model.transformer, self._training_step)
        self._known = [*self._known, weights.version][-(self._settings.schedule.rollouts_ahead + 1) :]
        return weights

    def _gradient_norm(self) -> float:
        """Norm before clipping. DeepSpeed keeps it only for ZeRO 1 to 3 and only after the update."""
        if self._engine.zero_optimization_stage() > 0:
            return float(self._engine.get_global_grad_norm() or 0.0)
        gradients = [
            parameter.grad for parameter in self._engine.module.parameters() if parameter.grad is not None
        ]
        return math.sqrt(sum(float(gradient.square().sum()) for gradient in gradients))

    def _measure(self, losses: Sequence[ReplayLoss]) -> dict[str, float]:
        means = {
            "learner/loss": torch.stack([loss.loss.detach() for loss in losses]).mean(),
            "learner/policy_loss": torch.stack([loss.policy_loss for loss in losses]).mean(),
            "learner/kl": torch.stack([loss.kl for loss in losses]).mean(),
            "learner/clip_fraction": torch.stack([loss.clip_fraction for loss in losses]).mean(),
            "learner/max_ratio_deviation": torch.stack([loss.max_abs_log_ratio for loss in losses])
            .max()
            .expm1(),
            "learner/grad_norm": torch.tensor(self._grad_norm),
        }
        return mean_over_ranks(means)
