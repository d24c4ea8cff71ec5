"""The learner: rollout groups and their advantages in, a better adapter out."""

import math
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial

import ray
import torch
from jaxtyping import Float
from torch import Tensor

from eva_rl.actors.adapter_averages import AdapterAverages
from eva_rl.actors.anchor import anchor_loss
from eva_rl.actors.deepspeed_engine import Rendezvous, mean_over_ranks, start_engine, whole_parameters
from eva_rl.actors.finite_gradients import FiniteGradients
from eva_rl.actors.learner_state import LearnerState, write_export
from eva_rl.actors.learning_rules import learning_rule
from eva_rl.actors.optimizer_state import gather_optimizer, scatter_optimizer
from eva_rl.actors.policy import open_policy
from eva_rl.checkpoints.folder import Folder
from eva_rl.config.align import AlignSettings
from eva_rl.records.adapter import AdapterVersion, AdapterWeights, LearnerUpdate
from eva_rl.records.calibration import Calibration
from eva_rl.records.rollout import RolloutGroup
from eva_rl.rl.group_loss import GroupLoss, measure_ratios
from eva_rl.world_model.adapter_io import borrowed_adapter, export_adapter, read_adapter
from eva_rl.world_model.lora import adapter_parameters, live_version
from eva_rl.world_model.two_experts import TwoExperts
from eva_rl.world_model.world_model import WorldModel


class UnknownPolicyError(RuntimeError):
    """A rollout was made by an adapter that this learner never produced, or no longer accepts."""


class Learner:
    """One DeepSpeed rank. A plain class: Ray wraps it once, in `pool.py`.

    Consumes its share of a batch; waits for the other ranks; produces the next adapter version.
    """

    def __init__(self, settings: AlignSettings, world_model_directory: str, idm_directory: str) -> None:
        torch.set_num_threads(settings.learner.num_threads)
        self._settings = settings
        self._world_model = open_policy(settings, world_model_directory)
        _check_experts(settings, self._world_model)
        if settings.learner.checkpoints_activations:
            self._world_model.transformer.enable_gradient_checkpointing()
        self._rule = learning_rule(settings, self._world_model, idm_directory=idm_directory)
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
        self._engine = start_engine(
            self._world_model.transformer,
            settings.learner,
            rendezvous,
            num_micro_batches=share // settings.learner.groups_per_micro_batch * self._rule.num_passes,
            num_updates=settings.schedule.num_training_steps * settings.algorithm.inner_epochs,
        )
        self._gradients = FiniteGradients(
            (weight for weight in self._engine.module.parameters() if weight.requires_grad),
            self._engine.basic_optimizer,
        )
        self._is_first = rendezvous.rank == 0
        with whole_parameters(self._engine):
            initial = read_adapter(self._world_model.transformer, 0)
        self._averages = AdapterAverages(settings.algorithm, torch.from_numpy(initial.values))
        return self._new_version()

    def prepare(self, calibration: Calibration) -> None:
        """Receives what was found out with the base policy, before the first batch."""
        self._rule.prepare(calibration)

    def learn(
        self, advantages: Float[Tensor, "groups members *cells"], *groups: RolloutGroup
    ) -> LearnerUpdate | None:
        """One training step on this rank's share of the batch.

        Args:
            advantages: one per rollout, or per rollout and credit cell; 0 for rollouts that were not judged.
            groups: rollout groups in the same order.

        Returns:
            The update on rank 0, None on every other.

        Raises:
            UnknownPolicyError: when a group was made by an adapter that is unknown or too old.
        """
        started_cpu = time.process_time()
        for group in groups:
            self._check_policy(group)
        losses: list[GroupLoss] = []
        self._num_skipped = 0
        learning_rate = self._engine.get_lr()[0]
        self._rule.begin_batch(behaviour=self._averages.behaviour)
        for _ in range(self._settings.algorithm.inner_epochs):
            losses += self._epoch(groups, advantages)
        self._training_step += 1
        weights = self._new_version(is_new=True)
        metrics = self._measure(losses, cpu_s=time.process_time() - started_cpu)
        metrics["learner/learning_rate"] = learning_rate
        return LearnerUpdate(weights=weights, metrics=metrics) if self._is_first else None

    def version(self) -> AdapterVersion:
        """The newest adapter, hashed anew from this rank's live weights; all ranks take part."""
        with whole_parameters(self._engine):
            return live_version(self._world_model.transformer, self._training_step)

    def deployed(self) -> AdapterWeights:
        """The adapter to evaluate: the moving average, or the newest one."""
        with whole_parameters(self._engine):
            return self._as_weights(self._averages.deployed)

    def save(self, folder: Folder) -> dict[str, str] | None:
        """Writes the learner's whole state and the adapter for diffusers; a collective.

        Returns:
            SHA-256 of every file written, on rank 0; None on every other.

        Raises:
            OSError: on rank 0: the disk is full, or the store does not answer.
        """
        optimizer = gather_optimizer(self._engine, adapter_parameters(self._world_model.transformer))
        state = LearnerState(
            training_step=self._training_step,
            known=tuple(self._known),
            optimizer=optimizer,
            averages=self._averages.state(),
        )
        with whole_parameters(self._engine):
            if not self._is_first:
                return None
            with self._adapter(self._averages.deployed):
                export = partial(export_adapter, self._world_model.transformer)
                return state.write(folder) | write_export(folder, export)

    def load(self, folder: Folder) -> None:
        """Restores what `save` wrote, on any number of ranks and with any ZeRO stage; a collective."""
        state = LearnerState.read(folder)
        self._training_step, self._known = state.training_step, list(state.known)
        self._averages.restore(state.averages)
        scatter_optimizer(self._engine, adapter_parameters(self._world_model.transformer), state.optimizer)

    def export(self, directory: str) -> None:
        """Writes the deployed adapter for `pipe.load_lora_weights`; rank 0 writes, all ranks take part."""
        with whole_parameters(self._engine):
            if not self._is_first:
                return
            with self._adapter(self._averages.deployed):
                export_adapter(self._world_model.transformer, directory)

    def _epoch(
        self, groups: Sequence[RolloutGroup], advantages: Float[Tensor, "groups members *cells"]
    ) -> list[GroupLoss]:
        """One pass over the batch; DeepSpeed updates after the last backward pass."""
        size, losses = self._settings.learner.groups_per_micro_batch, []
        for first in range(0, len(groups), size):
            part = slice(first, first + size)
            for pass_index in range(self._rule.num_passes):
                found = self._rule.losses(
                    groups[part], advantages[part], pass_index=pass_index, network=self._engine
                )
                loss = torch.stack([group.loss for group in found]).mean()
                self._engine.backward(loss + self._anchor(groups[part], pass_index))
                self._step()
                losses += found
        return losses

    def _anchor(self, groups: Sequence[RolloutGroup], pass_index: int) -> Tensor | float:
        weight = self._settings.algorithm.anchor_weight
        if weight == 0:
            return 0.0
        return weight * anchor_loss(self._world_model, groups, pass_index=pass_index, network=self._engine)

    def _check_policy(self, group: RolloutGroup) -> None:
        oldest = self._settings.schedule.oldest_allowed
        accepted = [
            version for version in self._known if version.training_step >= self._training_step - oldest
        ]
        if group.adapter not in accepted:
            raise UnknownPolicyError(
                f"{group.condition_id} was made by {group.adapter}; at training step {self._training_step} "
                f"rollouts may be {oldest} steps old (schedule), and only {accepted} are accepted"
            )

    def _new_version(self, *, is_new: bool = False) -> AdapterWeights:
        """The adapter that generators are to sample with from now on."""
        with whole_parameters(self._engine):
            weights = read_adapter(self._world_model.transformer, self._training_step)
            if is_new:
                self._averages.update(torch.from_numpy(weights.values))
            if self._averages.behaviour is not None:
                weights = self._as_weights(self._averages.behaviour)
        self._known = [*self._known, weights.version][-(self._settings.schedule.oldest_allowed + 1) :]
        return weights

    def _as_weights(self, values: Tensor | None) -> AdapterWeights:
        with self._adapter(values):
            return read_adapter(self._world_model.transformer, self._training_step)

    @contextmanager
    def _adapter(self, values: Tensor | None) -> Iterator[None]:
        """The given adapter in the network, or the live one."""
        if values is None:
            yield
            return
        with borrowed_adapter(self._world_model.transformer, values.to(self._world_model.device)):
            yield

    def _step(self) -> None:
        """Lets DeepSpeed update where it is due and right, and notes the gradient's norm before clipping.

        DeepSpeed keeps the norm only for ZeRO 1 to 3, and there only after the update.
        """
        if self._engine.is_gradient_accumulation_boundary():
            self._gradients.decide()
            self._num_skipped += self._gradients.was_skipped
        if self._engine.zero_optimization_stage() == 0:
            self._grad_norm = self._gradient_norm()
        self._engine.step()
        if self._engine.zero_optimization_stage() > 0:
            self._grad_norm = float(self._engine.get_global_grad_norm() or 0.0)

    def _gradient_norm(self) -> float:
        gradients = [
            parameter.grad for parameter in self._engine.module.parameters() if parameter.grad is not None
        ]
        return math.sqrt(sum(float(gradient.square().sum()) for gradient in gradients))

    def _measure(self, losses: Sequence[GroupLoss], *, cpu_s: float) -> dict[str, float]:
        means = {
            "learner/loss": torch.stack([loss.loss.detach() for loss in losses]).mean(),
            "learner/policy_loss": torch.stack([loss.policy_loss for loss in losses]).mean(),
            "learner/kl": torch.stack([loss.kl for loss in losses]).mean(),
            "learner/skipped": torch.tensor(float(self._num_skipped > 0)),
            "learner/grad_norm": torch.tensor(self._grad_norm),
            "time/learn_cpu_s": torch.tensor(cpu_s * torch.distributed.get_world_size()),
        }
        means |= {f"learner/{name}": value for name, value in measure_ratios(losses).items()}
        return mean_over_ranks(means)


def _check_experts(settings: AlignSettings, world_model: WorldModel) -> None:
    """Refuses ranks that would wait for each other: ZeRO-3 gathers weights in the order of the calls."""
    draws_levels = not settings.algorithm.learns_from_steps or settings.algorithm.anchor_weight > 0
    learner = settings.learner
    if not isinstance(world_model.transformer, TwoExperts) or learner.zero_stage < 3:
        return
    if draws_levels and learner.num_ranks > 1:
        raise ValueError(
            f"learner.zero_stage = 3 on {learner.num_ranks} ranks takes the same expert on every rank, but "
            f"algorithm.loss = {settings.algorithm.loss} with algorithm.anchor_weight = "
            f"{settings.algorithm.anchor_weight:g} draws noise levels per rank, and {world_model.directory} "
            "has two experts: use learner.zero_stage 0 to 2"
        )
