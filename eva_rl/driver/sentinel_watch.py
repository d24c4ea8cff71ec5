"""Watches a run for rewards that rise for the wrong reason: alarms, never a crash."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from eva_rl.config.reward import RewardSettings
from eva_rl.driver.scores import BatchScores
from eva_rl.rewards.reward import REWARD_PRESETS
from eva_rl.rewards.sentinels import SENTINELS, Normal
from eva_rl.rewards.terms import SMOOTHNESS_TERMS


@dataclass(frozen=True, kw_only=True)
class Alarm:
    """A sentinel's value has crossed its threshold.

    Example:
        Alarm(sentinel="frozen_video", training_step=41, value=0.6, threshold=0.25, meaning="videos ...")
    """

    sentinel: str
    training_step: int
    value: float
    threshold: float
    meaning: str

    def __str__(self) -> str:
        return (
            f"sentinel {self.sentinel} at training step {self.training_step}: {self.meaning} "
            f"({self.value:.2f}, alarm above {self.threshold:g})"
        )


class SentinelWatch:
    """Learns from the first training steps what is normal, then compares every step with it.

    Args:
        settings: number of first steps, and the reward's shape.
    """

    def __init__(self, settings: RewardSettings) -> None:
        self._num_baseline_steps = settings.num_baseline_steps
        self._form = REWARD_PRESETS[settings.preset]
        weights = {**self._form.weights, **settings.term_weights}
        self._pays_for_smoothness = any(weights.get(name, 0) > 0 for name in SMOOTHNESS_TERMS)
        self._first_steps: list[dict[str, Normal]] = []
        self._raised: set[str] = set()
        self._values: dict[str, float] = {}

    def observe(self, training_step: int, scores: BatchScores) -> list[Alarm]:
        """Takes one step's scores in and returns the alarms that were not on before.

        A sentinel whose observations were not made is silent. No alarm is raised in the first steps.
        """
        observed = _observations(scores)
        # by limits alone the reward is meant to be flat where clips are clean: its leverage says nothing
        if "reward" in observed and self._pays_for_smoothness:
            observed["reward_leverage"] = self._form.leverage(observed["reward"])
        if len(self._first_steps) < self._num_baseline_steps:
            self._first_steps.append({name: _summary(values) for name, values in observed.items()})
            return []
        normal = self._normal()
        known = observed.keys() & normal.keys()
        self._values = {
            name: row.value(observed, normal) for name, row in SENTINELS.items() if known >= set(row.watches)
        }
        alarming = {name for name, value in self._values.items() if value > SENTINELS[name].threshold}
        new, self._raised = sorted(alarming - self._raised), alarming
        return [
            Alarm(
                sentinel=name,
                training_step=training_step,
                value=self._values[name],
                threshold=SENTINELS[name].threshold,
                meaning=SENTINELS[name].meaning,
            )
            for name in new
        ]

    def metrics(self) -> dict[str, float]:
        """The last step's values, and 0 or 1 for each sentinel; nothing in the first steps."""
        row = {f"sentinel/{name}": float(name in self._raised) for name in self._values}
        return row | {f"sentinel_value/{name}": value for name, value in self._values.items()}

    def state(self) -> dict[str, Any]:
        """What a resumed run must know, as JSON."""
        return {
            "first_steps": [
                {name: asdict(normal) for name, normal in step.items()} for step in self._first_steps
            ],
            "raised": sorted(self._raised),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Takes over the state of an earlier watch."""
        self._first_steps = [
            {name: Normal(**normal) for name, normal in step.items()} for step in state["first_steps"]
        ]
        self._raised = set(state["raised"])

    def _normal(self) -> dict[str, Normal]:
        """The mean of the first steps, for every observation that all of them made."""
        names = set.intersection(*(set(step) for step in self._first_steps))
        number = len(self._first_steps)
        return {
            name: Normal(
                median=sum(step[name].median for step in self._first_steps) / number,
                mean=sum(step[name].mean for step in self._first_steps) / number,
                std=sum(step[name].std for step in self._first_steps) / number,
            )
            for name in names
        }


def _observations(scores: BatchScores) -> dict[str, Float[Tensor, " rollouts"]]:
    """Gathers what was observed on the judged rollouts of a step, rewards included."""
    gathered: dict[str, list[Tensor]] = {}
    for group in scores.groups:
        for name, values in {**group.observations, "reward": group.breakdown.rewards}.items():
            gathered.setdefault(name, []).append(values[group.breakdown.judged & values.isfinite()])
    joined = {name: torch.cat(parts) for name, parts in gathered.items()}
    return {name: values for name, values in joined.items() if len(values)}


def _summary(values: Float[Tensor, " rollouts"]) -> Normal:
    return Normal(
        median=float(values.median()), mean=float(values.mean()), std=float(values.std(correction=0))
    )
