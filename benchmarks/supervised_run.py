"""What a comparison with rewards must beat: plain fine-tuning of the adapter on the same recordings."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch

from eva_rl.actors.policy import open_policy
from eva_rl.config.align import AlignSettings
from eva_rl.driver.condition_schedule import ConditionSchedule
from eva_rl.driver.solo import SoloStep
from eva_rl.records.adapter import AdapterWeights
from eva_rl.records.condition import ConditionTensors, EncodedCondition
from eva_rl.rl.seeds import stream_seed
from eva_rl.world_model.adapter_io import export_adapter, read_adapter
from eva_rl.world_model.directory import schedule_shift
from eva_rl.world_model.finetuning import supervised_loss
from eva_rl.world_model.lora import adapter_parameters


@dataclass
class SupervisedRun:
    """The part of `SoloRun` that arms use, without rollouts and rewards.

    Batches, adapter, learning rate and clipping are the settings'; the optimiser is AdamW, warmed up as the
    learner's. A step costs a fraction of one with rollouts, so the same budget buys many more of them.

    Attributes:
        conditions: encoded with their demonstrations.
        idm: not used: nothing is read.
        policy: that is trained.
        steps: cost of every training step; rewards are minus its loss.
    """

    settings: AlignSettings
    conditions: Sequence[EncodedCondition]
    world_model: str
    idm: str
    steps: list[SoloStep] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Loads the world model."""
        settings = self.settings
        self._schedule = ConditionSchedule(
            self.conditions, groups_per_step=settings.algorithm.groups_per_step, seed=settings.run.seed
        )
        self.policy = open_policy(settings, self.world_model)
        self._weights = [weight for _, weight in adapter_parameters(self.policy.transformer)]
        learner = settings.learner
        self._optimizer = torch.optim.AdamW(
            self._weights,
            lr=learner.learning_rate,
            betas=learner.betas,
            weight_decay=learner.weight_decay,
        )

    def train(self, cpu_budget_s: float) -> None:
        """Takes training steps until the next one would probably pass the budget; at least one.

        Args:
            cpu_budget_s: CPU-seconds.
        """
        spent = 0.0
        first = len(self.steps)
        while len(self.steps) == first or spent + self.steps[-1].cpu_s <= cpu_budget_s:
            self.steps.append(self._step(len(self.steps)))
            spent += self.steps[-1].cpu_s

    def deployed(self) -> AdapterWeights:
        """The adapter to evaluate."""
        return read_adapter(self.policy.transformer, len(self.steps))

    def export(self, directory: Path) -> None:
        """Writes it for `pipe.load_lora_weights`."""
        export_adapter(self.policy.transformer, directory)

    def _step(self, training_step: int) -> SoloStep:
        started = time.process_time()
        batch = self._schedule.batch(training_step)
        clips = [encoded.demonstration for encoded in batch if encoded.demonstration is not None]
        learner = self.settings.learner
        for group in self._optimizer.param_groups:
            group["lr"] = learner.learning_rate * min(1.0, (training_step + 1) / max(learner.warmup_steps, 1))
        loss = supervised_loss(
            self.policy,
            torch.stack(clips),
            ConditionTensors.stacked([encoded.tensors for encoded in batch]),
            generator=torch.Generator().manual_seed(
                stream_seed(self.settings.run.seed, "supervised", training_step)
            ),
            shift=schedule_shift(self.policy.pipeline.scheduler),
        )
        self._optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self._weights, learner.max_grad_norm)
        self._optimizer.step()
        return SoloStep(
            reward=-loss.item(),
            reward_std=0.0,
            generate_s=0.0,
            score_s=0.0,
            learn_s=time.process_time() - started,
            num_rollouts=0,
        )
