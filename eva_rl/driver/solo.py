"""The alignment loop in one process and without Ray, stopped by CPU-seconds: for benchmarks."""

import math
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import Int

from eva_rl.actors.deepspeed_engine import Rendezvous
from eva_rl.actors.generator import Generator
from eva_rl.actors.learner import Learner
from eva_rl.actors.scorer import Scorer
from eva_rl.config.align import AlignSettings
from eva_rl.driver.calibration import CALIBRATION_STEP, calibrate
from eva_rl.driver.condition_schedule import ConditionSchedule
from eva_rl.driver.credit import CreditAssignment
from eva_rl.driver.scores import BatchScores
from eva_rl.driver.sentinel_watch import Alarm, SentinelWatch
from eva_rl.records.adapter import AdapterWeights
from eva_rl.records.calibration import Calibration
from eva_rl.records.condition import EncodedCondition
from eva_rl.records.reward import ScoredGroup
from eva_rl.records.rollout import RolloutGroup

LOOPBACK = "127.0.0.1"


@dataclass(frozen=True, kw_only=True)
class SoloStep:
    """What one training step cost and gave.

    Example:
        SoloStep(reward=7.41, reward_std=0.012, generate_s=3.1, score_s=0.9, learn_s=0.8, num_rollouts=128)

    Attributes:
        reward: mean over the judged rollouts.
        reward_std: standard deviation within a group, mean over groups.
        generate_s, score_s, learn_s: CPU-seconds.
        num_rollouts: learned from.
    """

    reward: float
    reward_std: float
    generate_s: float
    score_s: float
    learn_s: float
    num_rollouts: int

    @property
    def cpu_s(self) -> float:
        """CPU-seconds of the whole step."""
        return self.generate_s + self.score_s + self.learn_s


@dataclass
class SoloRun:
    """One generator, one scorer and one learner in this process; the same classes as in a distributed run.

    Attributes:
        steps: what every training step so far cost and gave.
        alarms: what the sentinels told, oldest first.
    """

    settings: AlignSettings
    conditions: Sequence[EncodedCondition]
    world_model: str
    idm: str
    steps: list[SoloStep] = field(default_factory=list)
    alarms: list[Alarm] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Loads the models and calibrates."""
        settings = self.settings
        self._schedule = ConditionSchedule(
            self.conditions, groups_per_step=settings.algorithm.groups_per_step, seed=settings.run.seed
        )
        self._generator = Generator(settings, self.world_model)
        self._scorer = Scorer(settings, self.world_model, self.idm)
        self._learner = Learner(settings, self.world_model, self.idm)
        self._learner.join(Rendezvous(address=LOOPBACK, port=_free_port(), rank=0, num_ranks=1))
        self.calibration: Calibration = calibrate(settings, _SoloRollouts(self), self._schedule.batch(0)[0])
        self._scorer.set_penalty_scale(self.calibration.penalty_scale)
        self._learner.prepare(self.calibration)
        self._credit = CreditAssignment(settings, self.calibration)
        self._watch = SentinelWatch(settings.reward)

    def train(self, cpu_budget_s: float, *, max_steps: float = math.inf) -> None:
        """Takes training steps until the next one would probably pass the budget; at least one.

        Args:
            cpu_budget_s: CPU-seconds.
            max_steps: the run has at most this many steps afterwards.
        """
        spent = 0.0
        while not self.steps or (
            spent + self.steps[-1].cpu_s <= cpu_budget_s and len(self.steps) < max_steps
        ):
            self.steps.append(self._step(len(self.steps)))
            spent += self.steps[-1].cpu_s

    def deployed(self) -> AdapterWeights:
        """The adapter to evaluate."""
        return self._learner.deployed()

    def export(self, directory: Path) -> None:
        """Writes it for `pipe.load_lora_weights`."""
        self._learner.export(str(directory))

    def generate(self, training_step: int) -> list[RolloutGroup]:
        """Rollouts of one batch."""
        batch = self._schedule.batch(max(training_step, 0))  # calibration looks at the first batch
        size = self.settings.generators.groups_per_call
        parts = [batch[first : first + size] for first in range(0, len(batch), size)]
        return [group for part in parts for group in self._generator.generate(part, training_step)]

    def score(self, groups: Sequence[RolloutGroup]) -> list[ScoredGroup]:
        """Rewards of rollouts."""
        return self._scorer.score(*groups)

    def arm_sites(self, groups: Sequence[RolloutGroup]) -> Int[np.ndarray, "height width"]:
        """Which arms each latent site speaks for."""
        return self._scorer.arm_sites(*groups)

    def _step(self, training_step: int) -> SoloStep:
        started = time.process_time()
        groups = self.generate(training_step)
        generated = time.process_time()
        scores = BatchScores.of(self.score(groups))
        self.alarms += self._watch.observe(training_step, scores)
        scored = time.process_time()
        advantages = self._credit.advantages(scores)
        update = self._learner.learn(self._credit.weights(advantages, scores), *groups)
        if update is not None:
            self._generator.write_adapter(update.weights)
        return SoloStep(
            reward=float(scores.rewards[scores.judged].mean()),
            reward_std=float(advantages.reward_std.mean()),
            generate_s=generated - started,
            score_s=scored - generated,
            learn_s=time.process_time() - scored,
            num_rollouts=scores.rewards.numel(),
        )


class _SoloRollouts:
    """Calibration rollouts of a run in this process."""

    def __init__(self, run: SoloRun) -> None:
        self._run = run
        self._groups = run.generate(CALIBRATION_STEP)

    def scored(self) -> Sequence[ScoredGroup]:
        return self._run.score(self._groups)

    def arm_sites(self) -> Int[np.ndarray, "height width"]:
        return self._run.arm_sites(self._groups[: self._run.settings.generators.groups_per_call])


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind((LOOPBACK, 0))
        return listener.getsockname()[1]
