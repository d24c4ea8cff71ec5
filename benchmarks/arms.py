"""Arms of a comparison: one alignment each, in one process, with equal CPU-seconds."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.held_out_pass import Readings, evaluate_policy
from benchmarks.supervised_run import SupervisedRun
from eva_rl.config.align import AlignSettings
from eva_rl.config.presets import PRESETS, merged
from eva_rl.config.rules import ALIGN_RULES
from eva_rl.config.section import ConfigError
from eva_rl.driver.solo import SoloRun, SoloStep
from eva_rl.evaluation.models import EvaluationModels
from eva_rl.records.condition import EncodedCondition
from eva_rl.records.evaluation import Outcome
from eva_rl.rewards.reward import KinematicReward

WARMUP_STEPS = 5


@dataclass(frozen=True, kw_only=True)
class Arm:
    """One way to align.

    Attributes:
        preset: row of PRESETS that it starts from.
        question: what the comparison with the others answers.
        overrides: settings on top of the preset, by section.
        trainer: that takes its training steps.
    """

    preset: str
    question: str
    overrides: Mapping[str, Any] = field(default_factory=dict)
    trainer: type[SoloRun | SupervisedRun] = SoloRun

    def settings(self, base: AlignSettings, *, seed: int) -> AlignSettings:
        """The settings of one seed of this arm.

        All arms share what the preset leaves open, and a constant learning rate: the number of steps within a
        budget of CPU-seconds is not known beforehand.

        Raises:
            ConfigError: if they cannot be run.
        """
        values = merged(base.model_dump(), PRESETS[self.preset].values())
        values = merged(values, self.overrides)
        values = merged(
            values,
            {
                "run": {"seed": seed},
                "learner": {"decay": "constant", "warmup_steps": WARMUP_STEPS},
                "reward": {"judge": None},  # it judges at the end, at nobody's expense
            },
        )
        settings = AlignSettings.model_validate({name: values[name] for name in AlignSettings.model_fields})
        if problems := [sentence for rule in ALIGN_RULES if (sentence := rule(settings))]:
            raise ConfigError(problems)
        return settings


COMMON_ARMS: Mapping[str, Arm] = {
    "CPS": Arm(preset="embedded_cps", question="another kernel: coefficients-preserving noise"),
    "NFT": Arm(preset="embedded_nft", question="a forward-process method"),
    "AWM": Arm(preset="embedded_awm", question="a forward-process method with a ratio"),
    "RAFT with anchor": Arm(preset="embedded_raft", question="fine-tuning on the best of each group"),
}
"""Algorithms that every comparison of algorithms holds."""


@dataclass(frozen=True, kw_only=True)
class ArmResult:
    """What one seed of an arm gave.

    Attributes:
        steps: cost and reward of every training step.
        outcomes: of the held-out scenes after training, read by the training's inverse dynamics model.
        judged_outcomes: the same motion read by the judge, which no arm trains against; empty without one.
        is_base: whether the adapter is still the untouched one.
        total_cpu_s: CPU-seconds of the whole task, start-up and evaluation included.
    """

    name: str
    seed: int
    steps: tuple[SoloStep, ...]
    outcomes: tuple[Outcome, ...]
    judged_outcomes: tuple[Outcome, ...]
    is_base: bool
    total_cpu_s: float

    @property
    def training_cpu_s(self) -> float:
        """CPU-seconds of training."""
        return sum(step.cpu_s for step in self.steps)

    @property
    def num_rollouts(self) -> int:
        """Rollouts learned from."""
        return sum(step.num_rollouts for step in self.steps)


@dataclass(frozen=True, kw_only=True)
class Models:
    """Directories of the models that all arms share.

    Attributes:
        judge: a second inverse dynamics model that no arm trains against; None without one.
    """

    world_model: str
    idm: str
    judge: str | None

    def readers(self, settings: AlignSettings) -> list[EvaluationModels]:
        """The world model with the training's inverse dynamics model, and with the judge."""
        return [
            EvaluationModels(settings, self.world_model, idm_directory=directory)
            for directory in (self.idm, self.judge)
            if directory is not None
        ]


def run_arm(
    name: str,
    settings: AlignSettings,
    conditions: Sequence[EncodedCondition],
    models: Models,
    *,
    trainer: type[SoloRun | SupervisedRun],
    cpu_seconds: float,
    reward: KinematicReward,
    adapters: Path,
    evaluation_seed: int,
) -> ArmResult:
    """Trains one seed of an arm and evaluates it on the held-out scenes.

    Args:
        name: of the arm.
        settings: of this seed.
        conditions: encoded, the same for all arms.
        models: shared directories.
        trainer: of the arm.
        cpu_seconds: budget of training.
        reward: the yardstick, the same for all arms whatever they train on.
        adapters: directory that keeps what every arm learned.
        evaluation_seed: of the noise that held-out clips start from, the same for the base policy and all
            arms: the pairs differ in the policy alone.
    """
    started = time.process_time()
    run = trainer(settings=settings, conditions=conditions, world_model=models.world_model, idm=models.idm)
    untouched = run.deployed().version.content_hash
    run.train(cpu_seconds)
    adapter = run.deployed()
    run.export(adapters / f"{name.replace(', ', '-').replace(' ', '-')}-{settings.run.seed}")
    held_out = with_seed(settings, evaluation_seed)
    outcomes, judged = evaluate_policy(held_out, models.readers(held_out), reward=reward, adapter=adapter)
    return ArmResult(
        name=name,
        seed=settings.run.seed,
        steps=tuple(run.steps),
        outcomes=outcomes,
        judged_outcomes=judged,
        is_base=adapter.version.content_hash == untouched,
        total_cpu_s=time.process_time() - started,
    )


def with_seed(settings: AlignSettings, seed: int) -> AlignSettings:
    """The same settings with another seed of the run."""
    return settings.model_copy(update={"run": settings.run.model_copy(update={"seed": seed})})


def run_base(settings: AlignSettings, models: Models, *, reward: KinematicReward) -> Readings:
    """Evaluates the base policy on the held-out scenes, read by both inverse dynamics models."""
    return evaluate_policy(settings, models.readers(settings), reward=reward)
